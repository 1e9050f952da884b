"""Real OpenLDAP servers, and directories that ask them."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from traitlets.config import Config

from demo.slapd import Slapd
from savu_spawner.directory import LdapDirectory
from tests.support.needs import needs_program

USERS = Path(__file__).resolve().parents[2] / "demo" / "users.ldif"
PASSWORD = "correct horse battery staple"
BASES = {
    "user_base": "ou=people,dc=facility,dc=example",
    "group_base": "ou=groups,dc=facility,dc=example",
}

StartServer = Callable[..., Slapd]
Ask = Callable[..., LdapDirectory]


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slapd]:
    """The demo's directory; never stopped or changed by a test."""
    needs_program("slapd")
    with Slapd(tmp_path_factory.mktemp("slapd"), USERS, password=PASSWORD) as slapd:
        yield slapd


@pytest.fixture
def start_server(tmp_path: Path) -> Iterator[StartServer]:
    """Starts a server of the test's own: from an LDIF, or the demo's accounts and some entries."""
    needs_program("slapd")
    started: list[Slapd] = []

    def start(entries: str = "", *, ldif: str = "", **options: Any) -> Slapd:
        folder = tmp_path / f"slapd{len(started)}"
        folder.mkdir()
        file = folder / "test.ldif"
        file.write_text(ldif or f"{USERS.read_text().rstrip()}\n\n{entries}\n")
        slapd = Slapd(folder, file, password=PASSWORD, **options)
        started.append(slapd)
        slapd.start()
        return slapd

    yield start
    for slapd in started:
        slapd.stop()


@pytest.fixture
async def ask() -> AsyncIterator[Ask]:
    """Makes directories from a server, or from URLs, and settings."""
    made: list[LdapDirectory] = []

    def make(slapd: Slapd | None = None, **settings: Any) -> LdapDirectory:
        settings = BASES | settings
        if slapd is not None:
            settings = {"servers": [slapd.url], "ca_file": str(slapd.ca_file)} | settings
        directory = LdapDirectory(config=Config(LdapDirectory=Config(settings)))
        made.append(directory)
        return directory

    yield make
    for directory in made:
        await directory.close()
    for thread in directory_threads():
        thread.join(10)
    assert not directory_threads(), "a thread outlived its deadline"


def directory_threads() -> list[threading.Thread]:
    """Threads that ask a directory, or wait to."""
    return [thread for thread in threading.enumerate() if thread.name.startswith("ldap")]


def person(name: str, uid: object, gid: object, *lines: str, dn: str = "") -> str:
    """A user's entry in LDIF."""
    return "\n".join(
        [
            dn or f"dn: uid={name},ou=people,dc=facility,dc=example",
            "objectClass: inetOrgPerson",
            "objectClass: extensibleObject",
            *([f"uid: {name}"] if not any(line.startswith("uid:") for line in lines) else []),
            "cn: Some Body",
            "sn: Body",
            *([f"uidNumber: {uid}"] if uid is not None else []),
            *([f"gidNumber: {gid}"] if gid is not None else []),
            *lines,
        ]
    )


def posix_group(name: str, gid: object, *members: str) -> str:
    """A group's entry in LDIF."""
    return "\n".join(
        [
            f"dn: cn={name},ou=groups,dc=facility,dc=example",
            "objectClass: posixGroup",
            f"cn: {name}",
            f"gidNumber: {gid}",
            *(f"memberUid: {member}" for member in members),
        ]
    )


def entries(*blocks: str) -> str:
    return "\n\n".join(blocks)
