"""A service of JupyterHub that removes what a killed hub or supervisor left behind.

After a restart of the hub with nobody's session running, no code of a spawner runs at all, so the
spawner cannot tidy up after itself. In ``jupyterhub_config.py``::

    c.JupyterHub.services = [
        {"name": "caretaker", "command": ["python", "-m", "savu_spawner.caretaker", "-f", CONFIG]}
    ]
    c.JupyterHub.load_roles = [
        {"name": "caretaker", "services": ["caretaker"], "scopes": ["list:users", "read:servers"]}
    ]
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import psutil
from tornado.httpclient import AsyncHTTPClient
from traitlets import Bool, Integer, Unicode
from traitlets.config import Application

from savu_spawner.local_session import (
    SessionFolder,
    default_runtime_dir,
    kill_orphans,
    kill_tree,
    supervisor_process,
    wait_gone,
)

Session = tuple[str, str]
"""User and server name, as JupyterHub keeps them."""


@dataclass(frozen=True)
class Found:
    """One session's folder, and what is known of the process behind it."""

    path: Path
    session: Session | None
    supervisor: psutil.Process | None
    age: float
    """Seconds since the folder was made."""


@dataclass(frozen=True)
class Finding:
    """What should go, and why."""

    found: Found
    why: Literal["dead", "unknown"]


def judge(
    found: list[Found], known: set[Session] | None, unknown_before: set[Path], grace: float
) -> list[Finding]:
    """What to remove.

    A session whose supervisor is dead goes. One that runs, and that the hub did not know twice in
    a row, goes too. What is younger than ``grace`` seconds may still be starting. With ``known``
    None the hub gave no answer, and nothing that runs is touched.
    """
    findings = []
    for item in found:
        if item.age < grace:
            continue
        if item.supervisor is None:
            findings.append(Finding(item, "dead"))
        elif known is not None and item.session not in known and item.path in unknown_before:
            findings.append(Finding(item, "unknown"))
    return findings


def is_too_much(findings: list[Finding], found: list[Found]) -> bool:
    """Whether most of the running sessions would go: then the hub's answer is not believed.

    A database that was reset or rolled back looks just like that.
    """
    running = [item for item in found if item.supervisor is not None]
    unknown = [finding for finding in findings if finding.why == "unknown"]
    return len(unknown) >= 3 and len(unknown) * 2 > len(running)


def look(runtime_dir: Path) -> list[Found]:
    """Every session's folder below ``runtime_dir``."""
    found = []
    for path in sorted(runtime_dir.glob("*")):
        session = supervisor = None
        try:
            age = time.time() - path.stat().st_mtime
            record = json.loads((path / "control" / "session.json").read_text())
            session = (str(record["user"]), str(record["server"]))
            supervisor = supervisor_process(*record["supervisor"])
        except FileNotFoundError:
            if not path.exists():
                continue
        except (OSError, ValueError, KeyError, TypeError):
            pass
        found.append(Found(path, session, supervisor, age))
    return found


async def remove(finding: Finding) -> None:
    """End what is left of a session and delete its folder."""
    item = finding.found
    if item.supervisor is not None:
        with contextlib.suppress(psutil.NoSuchProcess):
            item.supervisor.terminate()
        if not await wait_gone(item.supervisor, 10):
            kill_tree(item.supervisor)
    await asyncio.to_thread(kill_orphans, item.path)
    SessionFolder(item.path).remove()


class Caretaker(Application):
    """Sweeps at its start and then regularly, until SIGTERM."""

    name = "caretaker"

    config_file = Unicode(
        "",
        help="""
        JupyterHub's configuration file: the spawner's folders are read from it.

        Given on the command line, ``-f``; the file itself may hold the other options.

            c.Caretaker.config_file = "/etc/jupyterhub/jupyterhub_config.py"
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

        Needed once after the hub's database was lost: nothing can adopt those sessions.

            c.Caretaker.confirm = True
        """,
    ).tag(config=True)

    aliases = {"f": "Caretaker.config_file", "config": "Caretaker.config_file"}  # noqa: RUF012

    def initialize(self, argv: list[str] | None = None) -> None:
        super().initialize(argv)
        if self.config_file:
            path = Path(self.config_file).resolve()
            self.load_config_file(path.name, path=str(path.parent))
            # The command line has the last word.
            self.parse_command_line(argv)

    def runtime_dir(self) -> Path:
        """Where the hub's spawner keeps running sessions."""
        spawner = self.config.LocalSavuSpawner
        return Path(spawner.get("runtime_dir", default_runtime_dir()))

    async def known_sessions(self) -> set[Session] | None:
        """Sessions that JupyterHub believes to run or be starting; None if it does not answer."""
        url = f"{os.environ['JUPYTERHUB_API_URL']}/users?state=active&include_stopped_servers=1"
        headers = {
            "Authorization": f"token {os.environ['JUPYTERHUB_API_TOKEN']}",
            "Accept": "application/jupyterhub-pagination+json",
        }
        known: set[Session] = set()
        try:
            while url:
                answer = await AsyncHTTPClient().fetch(url, headers=headers, request_timeout=10)
                page: dict[str, Any] = json.loads(answer.body)
                for user in page["items"]:
                    known |= {(user["name"], server) for server in user.get("servers") or {}}
                following = page["_pagination"]["next"]
                url = following["url"] if following else ""
        except Exception as error:
            self.log.warning("the hub did not say which sessions it knows: %s", error)
            return None
        return known

    async def sweep(self, unknown_before: set[Path]) -> set[Path]:
        """Look once, remove what should go; the folders of sessions that the hub does not know."""
        found = look(self.runtime_dir())
        known = await self.known_sessions()
        findings = judge(found, known, unknown_before, self.grace)
        if is_too_much(findings, found) and not self.confirm:
            self.log.error(
                "the hub does not know %d of the running sessions: nothing of them is touched."
                " If its database was lost, set Caretaker.confirm",
                sum(finding.why == "unknown" for finding in findings),
            )
            findings = [finding for finding in findings if finding.why == "dead"]
        for finding in findings:
            self.log.warning("removing what is left of %s (%s)", finding.found.session, finding.why)
            await remove(finding)
        if known is None:
            return set()
        return {item.path for item in found if item.session not in known}

    async def run(self) -> None:
        """Sweep until told to end."""
        end = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, end.set)
        unknown: set[Path] = set()
        while not end.is_set():
            unknown = await self.sweep(unknown)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(end.wait(), self.interval)

    def start(self) -> None:
        asyncio.run(self.run())


def main() -> None:
    """Run as a program."""
    Caretaker.launch_instance()


if __name__ == "__main__":
    main()
