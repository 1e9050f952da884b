"""Sessions as processes on the hub's own machine: the embedded default."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
import re
import socket
import sys
from pathlib import Path
from typing import Any

import psutil
from jupyterhub.spawner import Spawner
from traitlets import Bool, Dict, List, Unicode, default

from savu_spawner.contract import DESCRIPTIONS, PACKAGES, PROGRAMS, USER_PROGRAMS, Program
from savu_spawner.environment import Places, environments, hub_environment
from savu_spawner.errors import SavuSpawnerError, SessionFailed
from savu_spawner.identity import Identity
from savu_spawner.local_session import (
    Account,
    SessionFolder,
    default_runtime_dir,
    kill_orphans,
    kill_tree,
    supervisor_process,
    wait_gone,
)
from savu_spawner.session import STOPPED, SessionSpawner
from savu_spawner.supervisor import Plan, ProgramPlan, ended_now

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class LocalSavuSpawner(SessionSpawner, Spawner):  # type: ignore[misc]
    """Starts a session's four programs on this machine, under one supervisor.

    As root, ``api`` and ``dataserver`` run with the user's own uid, gid and groups, ``web`` and
    ``gate`` as :attr:`service_account`. Otherwise every program is the hub's own user, which must
    be allowed explicitly (:attr:`allow_shared_identity`).
    """

    runtime_dir = Unicode(
        help="""
        Folder for the sockets of running sessions; short, on a local disk, emptied at boot.

            c.LocalSavuSpawner.runtime_dir = "/run/savu-spawner"
        """,
    ).tag(config=True)

    state_dir = Unicode(
        help="""
        Folder that keeps, for each user, the list of jobs and a home between sessions.

            c.LocalSavuSpawner.state_dir = "/var/lib/savu-spawner"
        """,
    ).tag(config=True)

    log_dir = Unicode(
        help="""
        Folder for the programs' logs: ``<user>/<server>/<program>.log``, begun anew at each start.

            c.LocalSavuSpawner.log_dir = "/var/log/savu-spawner"
        """,
    ).tag(config=True)

    service_account = Unicode(
        "",
        help="""
        The account that ``web`` and ``gate`` run as, when the hub is root: a name, or ``uid:gid``.

        It must be nobody else's: whoever has it can read the sessions' tokens. Make one with
        ``useradd --system --no-create-home savu-web``.

            c.LocalSavuSpawner.service_account = "savu-web"
        """,
    ).tag(config=True)

    allow_shared_identity = Bool(
        False,
        help="""
        Let sessions run as the hub's own user, when the hub is not root.

        Then no file permission separates users, and every session can read every other's files
        and tokens: for trying it out, or where there is one user. The engine ``savu``, which runs
        what a process list says, is refused in this mode.

            c.LocalSavuSpawner.allow_shared_identity = True
        """,
    ).tag(config=True)

    program_commands = Dict(
        value_trait=List(Unicode()),
        key_trait=Unicode(),
        help="""
        The command of a program, where it is not ``python -m savu_<program>`` of the hub's Python.

            c.LocalSavuSpawner.program_commands = {"api": ["/opt/api/bin/python", "-m", "savu_api"]}
        """,
    ).tag(config=True)

    supervisor_pid = 0
    supervisor_started = 0.0
    _process: asyncio.subprocess.Process | None = None
    _watch: asyncio.Task[None] | None = None

    @default("runtime_dir")
    def _runtime_dir(self) -> str:
        return default_runtime_dir()

    @default("state_dir")
    def _state_dir(self) -> str:
        if os.geteuid() == 0:
            return "/var/lib/savu-spawner"
        return str(Path.home() / ".local/state/savu-spawner")

    @default("log_dir")
    def _log_dir(self) -> str:
        if os.geteuid() == 0:
            return "/var/log/savu-spawner"
        return str(Path(self.state_dir) / "logs")

    @default("poll_interval")
    def _poll_interval(self) -> int:
        # Only a safety net: the end of a session is reported by its supervisor at once.
        return 10

    @property
    def folder(self) -> SessionFolder:
        return SessionFolder.of(self.runtime_dir, self.user.name, self.name)

    # -- Hooks of JupyterHub ----------------------------------------------------------------------

    async def start(self) -> tuple[str, int]:
        """Look the user up, start the supervisor, wait until every program is ready."""
        self.begin_saying()
        identity = None
        try:
            identity = await self.look_up()
            user, service = self._accounts(identity)
            await self._end_leftover()
            port = await self._start_supervisor(identity, user, service)
            await self._await_ready()
        except BaseException as error:
            self.audit_failed_start(self.reason_of(error), identity)
            await self._end_leftover()
            if isinstance(error, SavuSpawnerError):
                raise self.translate(error) from None
            raise
        self.audit_start(identity, instance=f"pid {self.supervisor_pid}")
        self.ended = None
        self._watch_end()
        self.say(90, "All programs are ready; opening your session…")
        return "127.0.0.1", port

    async def poll(self) -> int | None:
        """None while the session runs; afterwards nothing of it is left."""
        if self._supervisor() is not None:
            self._watch_end()
            return None
        if self.supervisor_pid:
            # At once: the hub's own poll and the report of the end may meet here.
            self.supervisor_pid = 0
            self.ended = self.folder.ended() or ended_now(
                "The session's supervisor was killed, and with it the session."
            )
            self.log.warning("%s ended: %s", self._log_name, self.ended["reason"])
            self.audit_end(self.ended["reason"])
            await self._end_leftover()
        return 1

    async def stop(self, now: bool = False) -> None:
        """End every process of the session, detached ones included."""
        if self._supervisor() is not None and not self.ended:
            self.ended = ended_now(STOPPED)
        await self._end_leftover()
        self.audit_end(self.ended["reason"] if self.ended else STOPPED)

    def get_state(self) -> dict[str, Any]:
        state = super().get_state()
        if self.supervisor_pid:
            state["supervisor"] = [self.supervisor_pid, self.supervisor_started]
        return state

    def load_state(self, state: dict[str, Any]) -> None:
        super().load_state(state)
        self.supervisor_pid, self.supervisor_started = state.get("supervisor", (0, 0.0))

    def clear_state(self) -> None:
        super().clear_state()
        self.supervisor_pid, self.supervisor_started = 0, 0.0

    # -- Starting ---------------------------------------------------------------------------------

    def _accounts(self, identity: Identity) -> tuple[Account | None, Account | None]:
        """As whom the user's programs and the other two run; None: as the hub itself."""
        if os.geteuid() != 0:
            if not self.allow_shared_identity:
                raise SessionFailed(
                    "This hub cannot start sessions as their users.",
                    log_message="the hub is not root and LocalSavuSpawner.allow_shared_identity"
                    " is not set",
                )
            if "savu" in self.engines:
                raise SessionFailed(
                    "This hub cannot run the engine “savu” safely.",
                    log_message="the engine 'savu' runs what a process list says: remove it from"
                    " LocalSavuSpawner.engines, or run the hub as root",
                )
            return None, None
        try:
            service = Account.parse(self.service_account)
        except ValueError as error:
            raise SessionFailed(
                "This hub is not set up to start sessions.",
                log_message=f"LocalSavuSpawner.service_account: {error}",
            ) from None
        if service.uid == identity.uid or service.gid in {identity.group.gid, *identity.gids}:
            raise SessionFailed(
                "Your account is the one that guards the sessions, and cannot have one.",
                log_message=f"{identity.name} has the identity of service_account",
            )
        user = Account(identity.uid, identity.group.gid, tuple(identity.gids))
        return user, service

    async def _start_supervisor(
        self, identity: Identity, user: Account | None, service: Account | None
    ) -> int:
        self.say(20, "Starting your session…")
        folder = self.folder
        folder.create(user, service)
        state = self._kept_folder(self.state_dir)
        home = state / "home"
        for path in (state, home):
            self._own(path, user)
        logs = self._kept_folder(self.log_dir)
        logs.mkdir(mode=0o750, parents=True, exist_ok=True)
        # Bound here and inherited by nginx: no other process of this machine can take the port
        # between its choice and its use.
        listener = socket.create_server(("127.0.0.1", 0), backlog=511)
        try:
            port: int = listener.getsockname()[1]
            self.port = port
            places = Places(
                sockets={p: f"unix:{folder.socket(p)}" for p in ("gate", "api", "dataserver")},
                web_listen=f"127.0.0.1:{port}",
                web_health_listen=f"unix:{folder.health_socket}",
                web_run_dir=str(folder.path / "web"),
                state_dir=str(state),
                home=str(home),
                temporary=str(folder.temporary),
            )
            try:
                variables = environments(identity, self.session_settings(), places)
            except ValueError as error:
                raise SessionFailed(
                    "This hub is not set up to start sessions.", log_message=str(error)
                ) from None
            plan = Plan(
                session=self._log_name,
                control=str(folder.control),
                ended_file=str(folder.ended_file),
                listening_fd=listener.fileno(),
                programs=[
                    self._program(program, variables[program], folder, logs, user, service)
                    for program in PROGRAMS
                ],
            )
            await self._launch(plan, listener, logs)
        finally:
            listener.close()
        return port

    def _program(
        self,
        program: Program,
        variables: dict[str, str],
        folder: SessionFolder,
        logs: Path,
        user: Account | None,
        service: Account | None,
    ) -> ProgramPlan:
        account = user if program in USER_PROGRAMS else service
        log = logs / f"{program}.log"
        log.write_bytes(b"")
        if account is not None:
            # nginx opens its standard error anew; the folder stays closed to the account.
            os.chown(log, account.uid, account.gid)
        environment = {"PATH": PATH, "LANG": "C.UTF-8", "PYTHONUNBUFFERED": "1"}
        if program == "gate":
            environment |= hub_environment(self.get_env())
        if program == "api":
            environment |= {name: str(value) for name, value in self._administrators_environment()}
        return ProgramPlan(
            name=program,
            command=self.program_commands.get(program) or [sys.executable, "-m", PACKAGES[program]],
            environment=environment | variables,
            directory="/",
            log=str(log),
            health_socket=str(folder.health_socket if program == "web" else folder.socket(program)),
            **({"health_path": "/web"} if program == "web" else {}),
            uid=account.uid if account else None,
            gid=account.gid if account else None,
            groups=list(account.groups) if account else [],
            inherited_socket=program == "web",
            restarted=program == "dataserver",
        )

    def _administrators_environment(self) -> list[tuple[str, Any]]:
        """``c.Spawner.environment``, which is for ``api``: it runs what users start."""
        return [
            (name, value(self) if callable(value) else value)
            for name, value in self.environment.items()
        ]

    async def _launch(self, plan: Plan, listener: socket.socket, logs: Path) -> None:
        with (logs / "supervisor.log").open("wb") as log:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "savu_spawner.supervisor",
                stdin=asyncio.subprocess.PIPE,
                stdout=log,
                stderr=log,
                env={"PATH": PATH, "LANG": "C.UTF-8"},
                cwd="/",
                start_new_session=True,
                pass_fds=(listener.fileno(),),
            )
        assert process.stdin is not None
        process.stdin.write(plan.to_json().encode())
        process.stdin.write_eof()
        self._process = process
        self.supervisor_pid = process.pid
        try:
            self.supervisor_started = psutil.Process(process.pid).create_time()
        except psutil.NoSuchProcess:
            raise SessionFailed("Your session could not be started.") from None
        self.folder.record.write_text(
            json.dumps(
                {
                    "user": self.user.name,
                    "server": self.name,
                    "supervisor": [self.supervisor_pid, self.supervisor_started],
                }
            )
        )

    async def _await_ready(self) -> None:
        """Follow the supervisor until all programs are ready.

        Raises:
            SessionFailed: a program ended, or is not ready when the time is up.
        """
        # A little earlier than JupyterHub's own limit, to say which program is missing.
        deadline = max(1.0, self.start_timeout - 3.0)
        waiting: set[Program] = set(PROGRAMS)
        try:
            async with asyncio.timeout(deadline):
                async for status in self._statuses():
                    if status["ended"]:
                        raise SessionFailed(
                            status["ended"]["reason"], log_message=self._last_lines(status)
                        )
                    for name in sorted(waiting):
                        if status["programs"][name] == "ready":
                            waiting.remove(name)
                            done = len(PROGRAMS) - len(waiting)
                            self.say(
                                20 + done * 60 // len(PROGRAMS),
                                f"{DESCRIPTIONS[name].capitalize()} is ready.",
                            )
                    if not waiting:
                        return
        except TimeoutError:
            names = ", ".join(f"“{name}”" for name in sorted(waiting))
            raise SessionFailed(
                f"The session's program {names} did not become ready within {deadline:.0f} seconds."
            ) from None
        raise SessionFailed("Your session's supervisor ended while it was starting.")

    async def _statuses(self) -> Any:
        """Each status line of the supervisor, from now on until it is gone."""
        reader, writer = await self._connect()
        try:
            while line := await reader.readline():
                yield json.loads(line)
        except ConnectionError:
            pass
        finally:
            writer.close()

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        while True:
            try:
                return await asyncio.open_unix_connection(str(self.folder.control))
            except OSError:
                # The supervisor opens it within its first moments.
                if self._supervisor() is None:
                    raise SessionFailed(
                        "Your session's supervisor ended while it was starting.",
                        log_message="see supervisor.log in LocalSavuSpawner.log_dir",
                    ) from None
                await asyncio.sleep(0.02)

    def _last_lines(self, status: dict[str, Any]) -> str:
        """The end of the log of each program that ended, for the hub's log."""
        logs = self._kept_folder(self.log_dir)
        parts = [status["ended"]["reason"]]
        for name, state in status["programs"].items():
            if state == "ended":
                with contextlib.suppress(OSError):
                    tail = (logs / f"{name}.log").read_text(errors="replace").splitlines()[-10:]
                    parts += [f"{name}: {line}" for line in tail]
        return "\n".join(parts)

    # -- Running and ending -----------------------------------------------------------------------

    def _supervisor(self) -> psutil.Process | None:
        if not self.supervisor_pid:
            return None
        return supervisor_process(self.supervisor_pid, self.supervisor_started)

    def _watch_end(self) -> None:
        if self._watch is None or self._watch.done():
            self._watch = asyncio.create_task(self._await_end())

    async def _await_end(self) -> None:
        """Tell the hub at once when the supervisor is gone, instead of at its next poll."""
        process = self._supervisor()
        if process is not None:
            await wait_gone(process, None)
        if not self._stop_pending:
            await self.poll_and_notify()

    async def _end_leftover(self) -> None:
        """End this session's supervisor and all below it, whichever hub started it."""
        process = self._supervisor() or self._recorded_supervisor()
        if process is not None:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.terminate()
            if not await wait_gone(process, 10):
                kill_tree(process)
                await wait_gone(process, 5)
        if self._process is not None:
            await self._process.wait()
            self._process = None
        self.supervisor_pid, self.supervisor_started = 0, 0.0
        if self.folder.path.exists() and not self.folder.ended_file.exists():
            # A supervisor that ended by itself left nothing; this one was killed.
            await asyncio.to_thread(kill_orphans, self.folder.path)
        self.folder.remove()

    def _recorded_supervisor(self) -> psutil.Process | None:
        """A supervisor that a killed hub left behind before it could store its state."""
        try:
            pid, started = json.loads(self.folder.record.read_text())["supervisor"]
        except (OSError, ValueError, KeyError):
            return None
        return supervisor_process(int(pid), float(started))

    # -- Folders that outlive a session -----------------------------------------------------------

    def _kept_folder(self, base: str) -> Path:
        """``base/<user>/<server>``, in letters that every file system takes."""
        server = _file_name(self.name) if self.name else "default"
        return Path(base) / _file_name(self.user.name) / server

    def _own(self, folder: Path, user: Account | None) -> None:
        folder.parent.mkdir(mode=0o711, parents=True, exist_ok=True)
        folder.mkdir(mode=0o700, exist_ok=True)
        if user is not None:
            os.chown(folder, user.uid, user.gid, follow_symlinks=False)


def _file_name(name: str) -> str:
    """A readable and unambiguous file name for any user or server name."""
    plain = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:24]
    if plain == name:
        return plain
    return f"{plain}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"
