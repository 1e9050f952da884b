"""Whom a session runs as: the directory's user, or an account of the machine this runs on."""

from __future__ import annotations

import grp
import os
import pwd

from traitlets import TraitError
from traitlets.config import Config

from savu_spawner.cli.application import Command, Misused
from savu_spawner.cli.configuration import Misconfigured
from savu_spawner.directory import LdapDirectory
from savu_spawner.errors import AccountNotFound, AccountRefused
from savu_spawner.identity import LARGEST_ID, AccountPolicy, Group, Identity, make_identity


async def chosen_identity(command: Command) -> Identity:
    """Who ``--user``, or ``--uid`` and ``--gid``, mean.

    Raises:
        Misused: neither is given, or both.
        AccountError: that user gets no session, or there is no such account.
        DirectoryUnavailable: nobody knows at the moment.
    """
    if command.user and command.uid >= 0:
        raise Misused("Name the user with --user, or give the IDs with --uid and --gid, not both.")
    if command.gid >= 0 and command.uid < 0:
        raise Misused("--gid goes with --uid: a group alone is nobody.")
    policy = configured_policy(command.hub_config)
    if command.user:
        return await from_directory(command, policy)
    if command.uid < 0:
        raise Misused(
            "Whose session? Name a user of the directory with --user NAME, or run it as yourself"
            " with --uid $(id -u)."
        )
    check_uid(command.uid, policy.minimum_uid, allowed=command.allow_uid)
    return local_account(command.uid, command.gid)


def configured_policy(config: Config) -> AccountPolicy:
    """The policy that the hub has.

    Raises:
        Misconfigured: a trait refuses its value.
    """
    try:
        return AccountPolicy(config=config)
    except TraitError as error:
        raise Misconfigured(f"AccountPolicy: {error}") from None


def configured_directory(config: Config) -> LdapDirectory:
    """The directory that the hub asks.

    Raises:
        Misconfigured: none is configured, or a trait refuses its value.
    """
    if "LdapDirectory" not in config:
        raise Misconfigured(
            "There is no configuration that names a directory: name the file with --config, or run"
            " a session as an account of this machine, with start --uid $(id -u)."
        )
    try:
        return LdapDirectory(config=config)
    except (TraitError, ValueError) as error:
        raise Misconfigured(f"LdapDirectory: {error}") from None


async def from_directory(command: Command, policy: AccountPolicy) -> Identity:
    """The user as the directory describes them now, allowed by the policy; see the raises above."""
    directory = configured_directory(command.hub_config)
    try:
        identity = await directory.identity(command.user)
    finally:
        await directory.close()
    policy.check(identity)
    return identity


def check_uid(uid: int, minimum: int, *, allowed: bool) -> None:
    """Do nothing for a user ID that a session may run as.

    Raises:
        AccountRefused: it is root's, or a system account's and not ``allowed``.
    """
    if uid == 0:
        raise AccountRefused("User ID 0 is the system administrator's: no session is run as root.")
    if uid > LARGEST_ID:
        raise AccountRefused(f"User ID {uid} is more than {LARGEST_ID}, the largest that there is.")
    if uid < minimum and not allowed:
        raise AccountRefused(
            f"User ID {uid} is below {minimum}, where system accounts are: add --allow-uid if it"
            " is meant."
        )


def local_account(uid: int, gid: int = -1) -> Identity:
    """The account of this machine with ``uid``; with ``gid``, in that group and no other.

    The group of an ID is never guessed: a gid that happens to be the same number may be anybody's.

    Raises:
        AccountNotFound: there is none, and no ``gid`` either.
        AccountRefused: ``gid`` is 0, root's, or no ID.
    """
    try:
        account = pwd.getpwuid(uid)
    except KeyError:
        account = None
    if gid < 0:
        if account is None:
            raise AccountNotFound(
                f"No account of this machine has the user ID {uid}, so nobody knows its groups:"
                " give one with --gid, or name a user of the directory with --user."
            )
        gids = os.getgrouplist(account.pw_name, account.pw_gid)
        gid = account.pw_gid
    else:
        gids = [gid]
    if gid == 0 or gid > LARGEST_ID:
        raise AccountRefused(f"Group ID {gid} cannot be a session's: 1 to {LARGEST_ID} can.")
    name = account.pw_name if account else f"uid-{uid}"
    full_name = account.pw_gecos.split(",")[0] if account else ""
    groups = [_group(each) for each in {gid, *gids} if each != 0]
    return make_identity(name.lower(), full_name, uid, gid, groups)


def _group(gid: int) -> Group:
    try:
        return Group(grp.getgrgid(gid).gr_name, gid)
    except KeyError:
        return Group(str(gid), gid)
