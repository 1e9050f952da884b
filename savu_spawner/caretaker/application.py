"""The program: reads the hub's configuration, sweeps again and again."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Collection, Sequence
from logging import Logger, LoggerAdapter
from pathlib import Path
from typing import Any, Protocol

import psutil
from jupyterhub.spawner import Spawner
from jupyterhub.traitlets import EntryPointType
from traitlets import Bool, Enum, Integer, List, TraitError, Unicode, default
from traitlets.config import Application, Config

from savu_spawner import audit
from savu_spawner.audit import AuditRecord
from savu_spawner.caretaker.hub import known_sessions
from savu_spawner.caretaker.judgement import (
    CannotSay,
    Finding,
    Found,
    Session,
    is_too_much,
    judge,
    unknown,
)
from savu_spawner.caretaker.local import LocalSessions
from savu_spawner.local import LocalSavuSpawner
from savu_spawner.local_session import default_runtime_dir, wait_gone


class Sessions(Protocol):
    """Where sessions run: on this machine, or as pods."""

    name: str

    @property
    def mend(self) -> str:
        """What an administrator does to end all of them."""

    async def look(self) -> list[Found]:
        """All that is there."""

    async def remove(self, finding: Finding) -> AuditRecord | None:
        """End one; what is to be written about it, unless the hub does."""

    async def close(self) -> None:
        """Give back what is held."""


class Sweep:
    """One kind of sessions, and what the last look at them has found."""

    def __init__(
        self,
        sessions: Sessions,
        log: Logger | LoggerAdapter[Any],
        *,
        grace: float,
        confirm: bool = False,
    ) -> None:
        self.sessions = sessions
        self._log = log
        self._grace = grace
        self._confirm = confirm
        self._found: Sequence[Found] | None = None
        self._unknown_before: Collection[str] = frozenset()
        self._refused: Collection[str] = frozenset()
        self._away = False

    async def look(self) -> None:
        """Before the hub is asked: what starts in between is not there yet."""
        try:
            self._found = await self.sessions.look()
        except CannotSay as error:
            self._found, self._unknown_before = None, frozenset()
            if not self._away:
                self._away = True
                self._log.warning(
                    "%s cannot be listed: %s; trying until it works", self.sessions.name, error
                )
            return
        if self._away:
            self._away = False
            self._log.info("%s can be listed again", self.sessions.name)

    async def remove(self, known: Collection[Session] | None) -> None:
        """Remove what should go of what was seen; ``known`` is the hub's answer, None if none."""
        if self._found is None:
            return
        findings = judge(self._found, known, self._unknown_before, self._grace)
        if is_too_much(findings, self._found) and not self._confirm:
            self._refuse(findings)
            findings = [finding for finding in findings if not finding.is_unknown]
        else:
            self._refused = frozenset()
        for finding in findings:
            await self._remove_one(finding)
        self._unknown_before = unknown(self._found, known)

    def _refuse(self, findings: Sequence[Finding]) -> None:
        refused = frozenset(finding.found.key for finding in findings if finding.is_unknown)
        if refused == self._refused:
            return
        self._refused = refused
        self._log.error(
            "the hub does not know %d of the running sessions (%s), which are most of them:"
            " none of these is touched. If its database was lost, nothing can adopt them:"
            " set c.Caretaker.confirm, or %s",
            len(refused),
            self.sessions.name,
            self.sessions.mend,
        )

    async def _remove_one(self, finding: Finding) -> None:
        user, server = finding.found.session or ("nobody", "")
        what = f"the session of user {user!r}, server {server!r} ({self.sessions.name})"
        try:
            record = await self.sessions.remove(finding)
        except CannotSay as error:
            self._log.warning("%s is not removed yet (%s): %s", what, finding.why, error)
            return
        self._log.warning("removed %s: %s", what, finding.why)
        if record is not None:
            audit.write(record)


class Caretaker(Application):
    """Sweeps at its start and then regularly, until SIGTERM or the end of its hub."""

    name = "caretaker"

    config_file = Unicode(
        "",
        help="""
        JupyterHub's configuration file: what sessions there are is read from it.

        Given on the command line, ``-f``; the file itself may hold the other options.

            c.Caretaker.config_file = "/etc/jupyterhub/jupyterhub_config.py"
        """,
    ).tag(config=True)

    sessions = List(
        Enum(["pods", "processes"]),
        help="""
        Where sessions run. By default what ``c.JupyterHub.spawner_class`` starts.

        Both, for a hub whose spawner starts the one or the other. An account of Kubernetes that may
        list and delete pods of the namespace is needed for pods.

            c.Caretaker.sessions = ["pods", "processes"]
        """,
    ).tag(config=True)

    interval = Integer(
        60,
        min=1,
        help="""
        Seconds between two sweeps; a session unknown to the hub is removed at the second.

            c.Caretaker.interval = 60
        """,
    ).tag(config=True)

    grace = Integer(
        60,
        min=0,
        help="""
        Seconds for which a new session is left alone: the hub may not have noted it yet.

            c.Caretaker.grace = 60
        """,
    ).tag(config=True)

    confirm = Bool(
        False,
        help="""
        End sessions unknown to the hub even if they are most of those that run.

        Needed once after the hub's database was lost: nothing can adopt those sessions. Take it out
        again afterwards, for it is what protects running sessions from a wrong database.

            c.Caretaker.confirm = True
        """,
    ).tag(config=True)

    spawner_class = EntryPointType(
        klass=Spawner,
        entry_point_group="jupyterhub.spawners",
        help="Read from ``c.JupyterHub.spawner_class``.",
    )

    aliases = {"f": "Caretaker.config_file", "config": "Caretaker.config_file"}  # noqa: RUF012

    @default("sessions")
    def _sessions(self) -> list[str]:
        return ["processes" if issubclass(self.spawner_class, LocalSavuSpawner) else "pods"]

    def initialize(self, argv: list[str] | None = None) -> None:
        super().initialize(argv)
        if self.config_file:
            path = Path(self.config_file).resolve()
            if not path.is_file():
                self._give_up(f"there is no configuration file {path}")
            self.load_config_file(path.name, path=str(path.parent))
            hub = self.config.JupyterHub
            if "logging_config" in hub and "logging_config" not in self.config.Caretaker:
                # The audit line goes where the hub's goes.
                self.update_config(Config(Caretaker={"logging_config": hub.logging_config}))
            # The command line has the last word.
            self.parse_command_line(argv)
        try:
            self.spawner_class = self.config.JupyterHub.get("spawner_class", "savu-local")
        except (TraitError, ImportError) as error:
            self._give_up(f"c.JupyterHub.spawner_class: {error}")

    def _give_up(self, why: str) -> None:
        self.log.critical("the caretaker cannot work: %s", why)
        self.exit(78)

    async def sweeps(self) -> list[Sweep]:
        """One for each kind of sessions.

        Raises:
            ValueError: the configuration names no cluster, or no possible hub_id.
        """
        places: list[Sessions] = []
        for kind in dict.fromkeys(self.sessions):
            if kind == "pods":
                # Kubernetes' client is much to load for a machine that has no pods.
                from savu_spawner.caretaker.pods import configured_pods

                places.append(await configured_pods(self.config, self.spawner_class, self.log))
            else:
                local = self.config.LocalSavuSpawner
                places.append(LocalSessions(Path(local.get("runtime_dir", default_runtime_dir()))))
        return [Sweep(p, self.log, grace=self.grace, confirm=self.confirm) for p in places]

    async def sweep(self, sweeps: Sequence[Sweep]) -> None:
        """Look once, and remove what should go."""
        for each in sweeps:
            await each.look()
        try:
            known = await known_sessions()
        except Exception as error:
            self.log.warning("the hub did not say which sessions it knows: %s", error)
            known = None
        for each in sweeps:
            await each.remove(known)

    async def run(self) -> None:
        """Sweep until told to end, or until the hub that started this is gone."""
        end = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, end.set)
        watching = None
        if "JUPYTERHUB_SERVICE_NAME" in os.environ:
            # The next hub has a caretaker of its own.
            watching = asyncio.create_task(set_when_gone(os.getppid(), end))
        try:
            sweeps = await self.sweeps()
        except ValueError as error:
            self._give_up(str(error))
        try:
            while not end.is_set():
                try:
                    await self.sweep(sweeps)
                except Exception:
                    # Whatever it was: without a caretaker things would be left for ever.
                    self.log.exception("this sweep failed; the next is in %d s", self.interval)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(end.wait(), self.interval)
        finally:
            if watching is not None:
                watching.cancel()
            for each in sweeps:
                await each.sessions.close()

    def start(self) -> None:
        asyncio.run(self.run())


async def set_when_gone(parent: int, end: asyncio.Event) -> None:
    """Set ``end`` once the hub, whose child this is, is gone; at once if it is gone already."""
    with contextlib.suppress(psutil.NoSuchProcess):
        process = psutil.Process(parent)
        words = process.cmdline() or [""]
        # Whoever adopts orphans, such as init, is no Python program.
        if Path(words[0]).name.startswith("python") or any("jupyterhub" in word for word in words):
            await wait_gone(process, None)
    end.set()


def main() -> None:
    """Run as a program."""
    # Before it listens for signals there is nothing to tidy up either.
    with contextlib.suppress(KeyboardInterrupt):
        Caretaker.launch_instance()
