"""Whether the directory answers, and whom it knows."""

from __future__ import annotations

from savu_spawner.cli.checks.finding import Finding
from savu_spawner.directory import LdapDirectory
from savu_spawner.errors import AccountError, SavuSpawnerError
from savu_spawner.identity import AccountPolicy, Identity

NOBODY = "savu-spawner-check"
"""A name that no account has: the answer to it shows that a directory answers."""


async def check_directory(directory: LdapDirectory) -> Finding:
    """Whether the directory answers at all."""
    try:
        await directory.identity(NOBODY)
    except AccountError:
        pass
    except SavuSpawnerError as error:
        return Finding(
            "FAIL",
            f"directory: {error.log_message}",
            "look at c.LdapDirectory (servers, tls, ca_file, bind_dn), and at the network",
        )
    return Finding("ok", f"directory: {', '.join(directory.servers)} answers")


async def check_user(
    directory: LdapDirectory, policy: AccountPolicy, name: str
) -> tuple[Identity | None, list[Finding]]:
    """Who the directory says that ``name`` is, and whether the policy lets them in."""
    try:
        identity = await directory.identity(name)
    except SavuSpawnerError as error:
        return None, [Finding("FAIL", f"user {name}: {error.log_message} [{error.reason}]")]
    groups = ", ".join(f"{group.name} ({group.gid})" for group in identity.groups) or "none"
    found = Finding(
        "ok",
        f"user {identity.name}: {identity.display_name}, uid {identity.uid},"
        f" group {identity.group.name} ({identity.group.gid}), further groups {groups}",
    )
    try:
        policy.check(identity)
    except SavuSpawnerError as error:
        refused = Finding(
            "FAIL",
            f"user {name} gets no session: {error.log_message} [{error.reason}]",
            "look at c.AccountPolicy, or at the account's groups",
        )
        return None, [found, refused]
    return identity, [found]
