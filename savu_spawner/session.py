"""What both spawners share: who the user is, what the user reads, and how a session ended."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any, cast
from urllib.parse import unquote

from tornado import web
from traitlets import Enum, Instance, Integer, List, Unicode, default
from traitlets.config import LoggingConfigurable

from savu_spawner import audit
from savu_spawner.audit import AuditRecord
from savu_spawner.contract import RESERVED_SERVER_NAMES
from savu_spawner.directory import LdapDirectory
from savu_spawner.environment import SessionSettings
from savu_spawner.errors import RequestInvalid, SavuSpawnerError
from savu_spawner.identity import AccountPolicy, Identity

try:
    from jupyterhub.spawner import SpawnException
except ImportError:  # JupyterHub 5
    SpawnException = None


STOPPED = (
    "The session was stopped from the control panel, by an administrator, or because it was idle."
)
"""JupyterHub does not tell its spawners who asked."""


def spawn_error(error: SavuSpawnerError, support_contact: str) -> Exception:
    """``error`` as JupyterHub shows it: the sentence on the page, the details in the log."""
    sentence = error.sentence(support_contact)
    shown: Any
    if SpawnException is not None:
        shown = SpawnException(
            sentence,
            reason=error.reason,
            log_message=error.log_message,
            status_code=error.status_code,
        )
    else:
        shown = web.HTTPError(error.status_code, error.log_message.replace("%", "%%"))
    # JupyterHub's pages read this attribute, which SpawnException itself does not set.
    shown.jupyterhub_message = sentence
    return cast(Exception, shown)


class SpawnLog:
    """What has been said about one start; any number of pages read it from the beginning."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self._starts = 0
        self._more = asyncio.Event()

    def begin(self) -> None:
        """Another start: pages that read already go on with this one."""
        self.events = []
        self._starts += 1

    def say(self, percent: int, message: str) -> None:
        """Add a sentence and how far the start is, in percent."""
        self.events.append({"progress": percent, "message": message})
        self._more.set()
        self._more = asyncio.Event()

    async def __aiter__(self) -> AsyncIterator[dict[str, Any]]:
        read, start = 0, self._starts
        while True:
            if start != self._starts:
                read, start = 0, self._starts
            if read < len(self.events):
                read += 1
                yield self.events[read - 1]
            else:
                await self._more.wait()


class SessionSpawner(LoggingConfigurable):
    """Base of ``SavuSpawner`` and ``LocalSavuSpawner``, beside a spawner of JupyterHub's.

    Not a spawner itself: JupyterHub wants those to start, stop and poll.

    In order of preference, a site specialises by: traits; ``LdapDirectory`` and ``AccountPolicy``
    (configured once, for login and look-up); a subclass that overrides :meth:`session_settings`.
    """

    data_roots = List(
        Unicode(),
        help="""
        Folders in which sessions find data and write results; nothing outside is touched.

        Absolute paths as the facility knows them: results link to their input by absolute path,
        and people paste paths. The file system's own permissions decide what each user may do
        there.

            c.LocalSavuSpawner.data_roots = ["/dls"]
        """,
    ).tag(config=True)

    visit_path_template = Unicode(
        "",
        help="""
        Where the data of a visit is, for *My visits*; empty if the facility has no such rule.

        ``{visit}`` is made from each of the user's groups (``cm10001_1`` gives ``cm10001-1``);
        every other name in braces stands for any folder.

            c.LocalSavuSpawner.visit_path_template = "/dls/{instrument}/data/{year}/{visit}"
        """,
    ).tag(config=True)

    engines = List(
        Enum(["builtin", "savu"]),
        ["builtin"],
        help="""
        Engines that run process lists, the preferred one first.

        ``builtin`` runs a fixed set of Savu's plugins and needs nothing else; ``savu`` is Savu
        itself, see ``savu_python``.

            c.LocalSavuSpawner.engines = ["savu", "builtin"]
        """,
    ).tag(config=True)

    savu_python = Unicode(
        "",
        help="""
        The Python interpreter that has Savu installed, for the engine ``savu``.

        It may be older than this package's own: Savu runs as a program of its own.

            c.LocalSavuSpawner.savu_python = "/dls_sw/apps/savu/bin/python"
        """,
    ).tag(config=True)

    savu_catalogue = Unicode(
        "",
        help="""
        File with Savu's plugin catalogue, exported once by ``savu_python``; empty to export it
        at the first need.

            c.LocalSavuSpawner.savu_catalogue = "/dls_sw/apps/savu/catalogue.json"
        """,
    ).tag(config=True)

    dataserver_max_bytes = Integer(
        64 * 2**20,
        min=2**20,
        help="""
        Largest answer of the data server, in bytes after decompression; more is refused (413).

            c.LocalSavuSpawner.dataserver_max_bytes = 128 * 2**20
        """,
    ).tag(config=True)

    admit = Enum(
        ["owner", "granted"],
        "owner",
        help="""
        Who may enter a session: its owner alone, or whoever JupyterHub grants access to it.

        ``granted`` lets administrators with the scope ``access:servers`` and people with whom the
        server is shared act as the owner on the owner's files; each such entry is logged.

            c.LocalSavuSpawner.admit = "granted"
        """,
    ).tag(config=True)

    gate_cache_seconds = Integer(
        30,
        min=1,
        max=300,
        help="""
        Seconds for which the gate keeps JupyterHub's answer about a login.

        A revoked token or share stays valid for at most this long. Logging out works at once.

            c.LocalSavuSpawner.gate_cache_seconds = 10
        """,
    ).tag(config=True)

    directory = Instance(LdapDirectory, help="Where accounts are looked up.")
    policy = Instance(AccountPolicy, help="Which accounts may have a session.")

    ended: dict[str, str] | None = None
    """``{when, reason}`` of the last end; kept when the state is cleared, gone with a new start."""

    audited: AuditRecord | None = None
    """What was written about the start of the session that runs; None once its end is written."""

    spawn_log: SpawnLog | None = None

    # Of JupyterHub's spawners
    name: str
    user: Any
    server: Any
    hub: Any
    authenticator: Any
    _log_name: str

    @default("directory")
    def _directory(self) -> LdapDirectory:
        return LdapDirectory.instance(parent=self.authenticator and self.authenticator.parent)

    @default("policy")
    def _policy(self) -> AccountPolicy:
        return AccountPolicy(parent=self)

    # -- Who --------------------------------------------------------------------------------------

    async def look_up(self) -> Identity:
        """The user as the directory describes them now, allowed by the policy.

        Only the directory decides: nothing of the request, its options or an earlier session.

        Raises:
            RequestInvalid: the server's name would shadow a path of the default server.
            AccountError: this account gets no session.
            DirectoryUnavailable: nobody knows at the moment.
        """
        if self.name.lower() in RESERVED_SERVER_NAMES:
            raise RequestInvalid(
                f"A server cannot be called “{self.name}”: that name is used inside every session."
                " Choose another name."
            )
        self.say(5, "Looking you up in the directory…")
        identity = await self.directory.identity(self.user.name)
        self.policy.check(identity)
        groups = ", ".join(group.name for group in identity.groups) or "no further groups"
        self.say(15, f"Found {identity.display_name}: user ID {identity.uid}, groups {groups}.")
        return identity

    def session_settings(self) -> SessionSettings:
        """What the site configured and the hub decided for this session."""
        return SessionSettings(
            prefix=unquote(self.server.base_url),
            server_name=self.name,
            hub_url=self.public_hub_path(),
            support_contact=self.policy.support_contact,
            data_roots=tuple(self.data_roots),
            visit_path_template=self.visit_path_template,
            engines=tuple(self.engines),
            savu_python=self.savu_python,
            savu_catalogue=self.savu_catalogue,
            dataserver_max_bytes=self.dataserver_max_bytes,
            gate_admit=self.admit,
            gate_cache_seconds=self.gate_cache_seconds,
        )

    def public_hub_path(self) -> str:
        """The control panel as a browser reaches it: a path, or a URL when users have domains."""
        return f"{self.hub.public_host}{self.hub.base_url}"

    def translate(self, error: SavuSpawnerError) -> Exception:
        """``error`` for JupyterHub, said on the progress page too."""
        self.log.warning("%s: %s [%s]", self._log_name, error.log_message, error.reason)
        return spawn_error(error, self.policy.support_contact)

    # -- What is said -----------------------------------------------------------------------------

    def begin_saying(self) -> None:
        """A start begins; what was said about the last one is no longer shown."""
        if self.spawn_log is None:
            self.spawn_log = SpawnLog()
        self.spawn_log.begin()

    def say(self, percent: int, message: str) -> None:
        """A sentence for the progress page."""
        if self.spawn_log is None:
            self.spawn_log = SpawnLog()
        self.spawn_log.say(percent, message)

    async def progress(self) -> AsyncIterator[dict[str, Any]]:
        """Everything said so far about this start, then what follows."""
        if self.spawn_log is None:
            self.spawn_log = SpawnLog()
        async for event in self.spawn_log:
            yield event

    # -- What is kept of it ------------------------------------------------------------------------

    def audit_start(
        self, identity: Identity, *, pod: Mapping[str, Any] | None = None, instance: str = ""
    ) -> None:
        """A line for a session that runs now."""
        self.audited = AuditRecord.of(
            "started", self.user.name, self.name, identity, pod=pod, instance=instance
        )
        audit.write(self.audited)

    def audit_adopted(self, pod: Mapping[str, Any]) -> None:
        """A line for a session whose start a killed hub may not have written."""
        reason = "adopted: the hub was killed during this start"
        self.audited = AuditRecord.of_pod("started", self.user.name, self.name, pod, reason)
        audit.write(self.audited)

    def audit_failed_start(
        self, reason: str, identity: Identity | None, *, pod: Mapping[str, Any] | None = None
    ) -> None:
        """A line for a start that was refused or failed."""
        audit.write(
            AuditRecord.of(
                "start-failed", self.user.name, self.name, identity, pod=pod, reason=reason
            )
        )

    @staticmethod
    def reason_of(error: BaseException) -> str:
        """Why a start came to nothing, for the audit line."""
        if isinstance(error, SavuSpawnerError):
            return f"{error.reason}: {error.log_message}"
        if isinstance(error, asyncio.CancelledError):
            return "given up by JupyterHub"
        return f"{type(error).__name__}: {error}"

    def audit_end(self, reason: str) -> None:
        """A line for the end of the session, once: whoever notices it first writes."""
        if self.audited is not None:
            audit.write(self.audited.ended(reason))
            self.audited = None

    # -- How it ended -----------------------------------------------------------------------------

    def get_state(self) -> dict[str, Any]:
        state: dict[str, Any] = super().get_state()  # type: ignore[misc]
        if self.ended:
            state["ended"] = dict(self.ended)
        if self.audited:
            state["audited"] = self.audited.to_state()
        return state

    def load_state(self, state: dict[str, Any]) -> None:
        super().load_state(state)  # type: ignore[misc]
        self.ended = state.get("ended")
        if "audited" in state:
            self.audited = AuditRecord.from_state(state["audited"])
