"""Asks LDAP who a user is, and checks passwords.

::

    LdapDirectory    who is meant: filters, entries, what is ambiguous or incomplete
    └── Servers      bounded threads, the servers in order, a dead connection once anew
        └── Link     one connection: TLS verified, every read cut by the same deadline
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

from savu_spawner.directory.connections import Entry, Link, TooMany, any_of, name_below, term
from savu_spawner.directory.servers import Servers
from savu_spawner.directory.settings import LdapSettings
from savu_spawner.errors import (
    AccountAmbiguous,
    AccountError,
    AccountNotFound,
    DirectoryUnavailable,
)
from savu_spawner.identity import (
    Group,
    Identity,
    check_not_locked,
    folded,
    is_possible_name,
    make_identity,
    normalized,
    parse_group,
    parse_id,
)

__all__ = ["LdapDirectory"]

NAMES_A_FILTER: Final = 100
"""Users asked for in one search."""

LOCK_ATTRIBUTES: Final = (
    "pwdAccountLockedTime",
    "shadowExpire",
    "userAccountControl",
    "nsAccountLock",
)


class LdapDirectory(LdapSettings):
    """The facility's LDAP directory: settings and connections of login and look-up alike.

    Where groups list login names, a look-up is one round trip if the primary group is called like
    the user or lists them, else two; where they list distinguished names, two.

    At a Diamond-like site (posixGroup with ``memberUid``)::

        c.LdapDirectory.servers = ["ldaps://ldap.facility.example", "ldaps://ldap2.facility.example"]
        c.LdapDirectory.user_base = "ou=people,dc=facility,dc=example"
        c.LdapDirectory.group_base = "ou=group,dc=facility,dc=example"

    At a site with a tree like Active Directory's::

        c.LdapDirectory.user_base = "dc=fed,dc=facility,dc=example"
        c.LdapDirectory.name_attribute = "cn"
        c.LdapDirectory.user_filter = "(objectClass=user)"
        c.LdapDirectory.group_base = "dc=fed,dc=facility,dc=example"
        c.LdapDirectory.group_filter = "(&(objectClass=group)(gidNumber=*))"
        c.LdapDirectory.member_attribute = "member"
        c.LdapDirectory.member_value = "dn"
    """

    def __init__(self, **kwargs: Any) -> None:
        """
        Raises:
            TraitError: the settings cannot be meant.
        """
        super().__init__(**kwargs)
        self._servers = Servers(self)

    # -- What others ask --------------------------------------------------------------------------

    async def identity(self, name: str) -> Identity:
        """The user of this name, as the directory describes them now.

        Raises:
            AccountNotFound: there is no such user.
            AccountAmbiguous: several entries could be meant.
            AccountIncomplete: an attribute, or a group's, is missing or absurd.
            AccountRefused: an id is 0, or the account is locked.
            DirectoryUnavailable: nobody knows at the moment.
        """
        if not is_possible_name(name):
            raise _not_found(name)
        return await self._identity_by(name, time.monotonic() + self.timeout)

    async def identities(self, names: Iterable[str]) -> dict[str, Identity | AccountError]:
        """Many users at once, each as :meth:`identity` would answer.

        Raises:
            DirectoryUnavailable: for none of them anybody knows; an answer is never partial.
        """
        asked = sorted(set(names))
        answers: dict[str, Identity | AccountError] = {
            name: _not_found(name) for name in asked if not is_possible_name(name)
        }
        possible = [name for name in asked if name not in answers]
        for start in range(0, len(possible), NAMES_A_FILTER):
            some = possible[start : start + NAMES_A_FILTER]
            answers |= await self._identities_by(some, time.monotonic() + self.timeout)
        return answers

    async def check_password(self, name: str, password: str) -> bool:
        """Whether the directory has this user, and this is their password.

        False says nothing else about an account, not even whether there is one.

        Raises:
            AccountAmbiguous: it is the password of one of several accounts that could be meant.
            DirectoryUnavailable: nobody knows at the moment, or passwords cannot be sent safely.
        """
        if not self.may_send_passwords:
            raise DirectoryUnavailable(
                "Passwords cannot be checked here.",
                log_message="LdapDirectory.tls is 'none' and allow_insecure_passwords is not set",
            )
        # Servers take an empty password for an anonymous visitor, and say yes.
        if not password or not is_possible_name(name) or not _can_be_sent(password):
            return False
        deadline = time.monotonic() + self.timeout
        found = await self._servers.run(lambda link: self._find_users(link, [name]), deadline)
        users = [user for user in found if _is_called(user, name, self.name_attribute)]
        # For a user who does not exist a bind is refused likewise, after as long a time.
        nobody = name_below(self.name_attribute, name, self.user_base)
        for dn in [user.dn for user in users] or [nobody]:
            if await self._servers.run(_bind_as(dn, password), deadline, pooled=False):
                if not users:
                    return False
                # Whoever else is called so, or could be, has another password for the same name.
                self._one(name, found)
                return True
        return False

    async def close(self) -> None:
        """End threads and connections; the next question opens new ones."""
        self._servers.close()

    # -- One user ---------------------------------------------------------------------------------

    async def _identity_by(self, name: str, deadline: float) -> Identity:
        find_user = self._servers.run(lambda link: self._find_users(link, [name]), deadline)
        if self.member_value == "name":
            # Asked at the same time, in the hope that the entry is called just so.
            expected = any_of(
                [
                    term(self.member_attribute, name),
                    term(self.group_name_attribute, name),
                ],
            )
            users, groups = await asyncio.gather(
                find_user,
                self._servers.run(lambda link: self._find_groups(link, expected), deadline),
            )
            user = self._one(name, users)
            if self._is_enough(name, user, groups):
                return self._identity(name, user, groups)
        else:
            user = self._one(name, await find_user)
        return self._identity(name, user, await self._groups_of(user, deadline))

    def _is_enough(self, name: str, user: Entry, groups: Sequence[Entry]) -> bool:
        """Whether groups found by the expected name are those of this entry, and all of them.

        The group that is called like the user is found whether or not the user is a member: usually
        it is their primary one. If not, or if the primary group is another, a second question says.
        """
        gid = user.first(self.gid_attribute)
        return (
            user.first(self.name_attribute) == name
            and any(group.first(self.gid_attribute) == gid for group in groups)
            and all(
                group.first(self.gid_attribute) == gid
                for group in groups
                if any(
                    folded(value) == folded(name)
                    for value in group.values(self.group_name_attribute)
                )
            )
        )

    async def _groups_of(self, user: Entry, deadline: float) -> list[Entry]:
        return await self._servers.run(
            lambda link: self._find_groups(link, self._groups_filter(user)), deadline
        )

    def _groups_filter(self, user: Entry) -> str:
        member = user.dn if self.member_value == "dn" else user.first(self.name_attribute)
        terms = [term(self.member_attribute, member)]
        if gid := user.first(self.gid_attribute):
            terms.append(term(self.gid_attribute, gid))
        return any_of(terms)

    def _one(self, name: str, users: Sequence[Entry]) -> Entry:
        """The entry of this user, of those that the directory takes for it.

        Raises:
            AccountNotFound, AccountAmbiguous
        """
        if len(users) > 1:
            raise AccountAmbiguous(
                f"The directory has several accounts that could be “{name}”.",
                log_message=f"{name}: {', '.join(user.dn for user in users)}",
            )
        if not users or not _is_called(users[0], name, self.name_attribute):
            raise _not_found(name)
        if len(users[0].values(self.name_attribute)) > 1:
            raise AccountAmbiguous(
                f"The account “{name}” has several login names (“{self.name_attribute}”) in the"
                " directory."
            )
        return users[0]

    def _identity(self, name: str, user: Entry, groups: Iterable[Entry]) -> Identity:
        uid = parse_id(user.values(self.uid_attribute), self.uid_attribute)
        gid = parse_id(user.values(self.gid_attribute), self.gid_attribute)
        check_not_locked(user.attributes)
        named = [group for entry in groups for group in self._groups(entry)]
        return make_identity(name, self._display_name(user), uid, gid, named)

    def _groups(self, entry: Entry) -> Sequence[Group]:
        return parse_group(
            entry.values(self.group_name_attribute),
            entry.values(self.gid_attribute),
            self.gid_attribute,
        )

    def _display_name(self, user: Entry) -> str:
        for attributes in self.display_name_attributes:
            parts = [user.first(attribute) for attribute in attributes.split()]
            if parts and all(parts):
                shown = " ".join(" ".join(parts).split())
                return "".join(character for character in shown if character.isprintable())
        return ""

    # -- Many users -------------------------------------------------------------------------------

    async def _identities_by(
        self, names: Sequence[str], deadline: float
    ) -> dict[str, Identity | AccountError]:
        found = await self._servers.run(lambda link: self._find_all_users(link, names), deadline)
        answers: dict[str, Identity | AccountError] = {}
        users: dict[str, Entry] = {}
        for name in names:
            same = [user for user in found if _could_be(user, name, self.name_attribute)]
            try:
                users[name] = self._one(name, same)
            except AccountError as error:
                answers[name] = error
        groups = await self._servers.run(
            lambda link: self._find_groups_of_all(link, list(users.values())), deadline
        )
        for name, user in users.items():
            try:
                answers[name] = self._identity(name, user, groups[user.dn])
            except AccountError as error:
                answers[name] = error
        return answers

    def _find_all_users(self, link: Link, names: Sequence[str]) -> list[Entry]:
        try:
            return self._find_users(link, names)
        except TooMany:
            found = [user for name in names for user in self._find_users(link, [name])]
            return list({user.dn: user for user in found}.values())

    def _find_groups_of_all(self, link: Link, users: Sequence[Entry]) -> dict[str, Sequence[Entry]]:
        """Groups by the user's DN: of all in one question where its answer can be told apart."""
        if not users:
            return {}
        if self.member_value == "name":
            try:
                every = self._find_groups(
                    link, any_of(map(self._groups_filter, users)), self.member_attribute
                )
            except TooMany:
                every = None
            if every is not None and self._can_be_told_apart(every, users):
                return {user.dn: [g for g in every if self._is_in(user, g)] for user in users}
        return {user.dn: self._find_groups(link, self._groups_filter(user)) for user in users}

    def _is_in(self, user: Entry, group: Entry) -> bool:
        return user.first(self.name_attribute) in group.values(self.member_attribute) or user.first(
            self.gid_attribute
        ) == group.first(self.gid_attribute)

    def _can_be_told_apart(self, groups: Iterable[Entry], users: Iterable[Entry]) -> bool:
        """Whether comparing texts says the same as the directory's own matching would."""
        asked = {user.first(self.name_attribute) for user in users}
        alike = set(map(folded, asked))
        ranged = self.member_attribute.lower() + ";"
        return not any(
            any(key.startswith(ranged) for key in group.attributes)
            or any(
                member not in asked and folded(member) in alike
                for member in group.values(self.member_attribute)
            )
            for group in groups
        )

    # -- Questions, in a thread -------------------------------------------------------------------

    def _find_users(self, link: Link, names: Sequence[str]) -> list[Entry]:
        attributes = {self.name_attribute, self.uid_attribute, self.gid_attribute, *LOCK_ATTRIBUTES}
        for shown in self.display_name_attributes:
            attributes.update(shown.split())
        wanted = any_of(term(self.name_attribute, name) for name in names)
        return link.search(self.user_base, f"(&{self.user_filter}{wanted})", attributes)

    def _find_groups(self, link: Link, wanted: str, *more_attributes: str) -> list[Entry]:
        return link.search(
            self.group_base,
            f"(&{self.group_filter}{wanted})",
            {self.group_name_attribute, self.gid_attribute, *more_attributes},
        )


def _bind_as(dn: str, password: str) -> Callable[[Link], bool]:
    return lambda link: link.bind(dn, password)


def _can_be_sent(password: str) -> bool:
    try:
        password.encode()
    except UnicodeEncodeError:
        return False
    return True


def _not_found(name: str) -> AccountNotFound:
    return AccountNotFound(f"The directory has no account “{name[:60]}”.")


def _is_called(user: Entry, name: str, attribute: str) -> bool:
    return any(normalized(value) == name for value in user.values(attribute))


def _could_be(user: Entry, name: str, attribute: str) -> bool:
    return any(folded(value) == folded(name) for value in user.values(attribute))
