"""Who a session runs as, and which accounts may have one.

Pure: values of a directory's entry go in, an :class:`Identity` or a refusal comes out. What is
missing, absurd or could be meant in two ways is refused; nothing is guessed or left out.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

from traitlets import Int, List, Unicode
from traitlets.config import LoggingConfigurable

from savu_spawner.errors import AccountIncomplete, AccountRefused

LARGEST_ID: Final = 2**31 - 1
"""Kubernetes takes no more, and programs that keep ids in signed integers are not led astray."""

AD_ACCOUNT_DISABLED: Final = 0x2
"""Active Directory's flag in ``userAccountControl``."""

LONGEST_NAME: Final = 255
"""Characters of a login name; longer ones are nobody's, and are not even asked for."""


@dataclass(frozen=True, order=True)
class Group:
    """A UNIX group."""

    name: str
    gid: int


@dataclass(frozen=True)
class Identity:
    """A user as the directory describes them."""

    name: str
    """As JupyterHub normalises it: in lower case."""

    display_name: str
    """The person's name as shown; never empty."""

    uid: int

    group: Group
    """The primary group."""

    groups: tuple[Group, ...]
    """Every other group, by gid. One with the primary group's gid under another name is kept:
    the policy goes by names too."""

    @property
    def gids(self) -> tuple[int, ...]:
        """Supplementary group ids: ascending, each once, without the primary one."""
        return tuple(sorted({group.gid for group in self.groups} - {self.group.gid}))


def normalized(name: str) -> str:
    """A login name as JupyterHub normalises it: names are the same if this is, and never else."""
    return name.lower()


def is_possible_name(name: str) -> bool:
    """Whether any account could be called so; padding and control characters are nobody's."""
    return 0 < len(name) <= LONGEST_NAME and name.isprintable() and name.strip() == name


def parse_id(values: Sequence[str], attribute: str, whose: str = "Your account") -> int:
    """The one UNIX id that an attribute holds: 1 to 2**31 - 1.

    Raises:
        AccountIncomplete: there is none, there are several, or it is no id.
        AccountRefused: it is 0, the system administrator's.
    """
    if not values:
        raise AccountIncomplete(f"{whose} has no “{attribute}” in the directory.")
    if len(values) > 1:
        raise AccountIncomplete(
            f"{whose} has several values of “{attribute}” in the directory, where one is needed."
        )
    text = values[0]
    if not re.fullmatch(r"-?[0-9]{1,30}", text):
        raise AccountIncomplete(
            f"{whose} has a “{attribute}” in the directory that is not a number.",
            log_message=f"{whose}: {attribute} is {text[:60]!r}, not a number",
        )
    number = int(text)
    if number == 0:
        raise AccountRefused(
            f"{whose} has the “{attribute}” 0 in the directory, which is the system"
            " administrator's: no session is started with it."
        )
    if not 0 < number <= LARGEST_ID:
        raise AccountIncomplete(
            f"{whose} has the “{attribute}” {number} in the directory, which is not between 1 and"
            f" {LARGEST_ID}."
        )
    return number


def check_not_locked(attributes: Mapping[str, Sequence[str]], today: date | None = None) -> None:
    """Do nothing unless an attribute says that the account is locked or has expired.

    A lock that ends by itself, after too many wrong passwords, does not count: anybody could end
    anybody's session by it.

    Args:
        attributes: of the user's entry, by their names in lower case.

    Raises:
        AccountRefused: it says so.
    """
    days = ((today or date.today()) - date(1970, 1, 1)).days

    def number(attribute: str) -> int:
        text = next(iter(attributes.get(attribute, ())), "")
        return int(text) if re.fullmatch(r"[0-9]{1,18}", text) else 0

    if 0 < number("shadowexpire") <= days:
        raise AccountRefused("Your account has expired.")
    if (
        number("useraccountcontrol") & AD_ACCOUNT_DISABLED
        or "000001010000Z" in attributes.get("pwdaccountlockedtime", ())
        or "true" in map(str.lower, attributes.get("nsaccountlock", ()))
    ):
        raise AccountRefused("Your account is locked.")


def parse_group(names: Sequence[str], gids: Sequence[str], gid_attribute: str) -> list[Group]:
    """A group from its entry's values, once for each of its names: rules go by any of them.

    Raises:
        AccountIncomplete: a value is missing or absurd; leaving the group out would silently take
            from the user what it gives, or spare them a rule that it stands for.
        AccountRefused: its id is 0.
    """
    for name in names or ("",):
        if not name or not name.isprintable():
            raise AccountIncomplete(
                "One of your groups has no usable name in the directory.",
                log_message=f"a group's name is {name[:60]!r}",
            )
    gid = parse_id(gids, gid_attribute, f"Your group “{names[0]}”")
    return [Group(name, gid) for name in names]


def make_identity(
    name: str, display_name: str, uid: int, gid: int, groups: Iterable[Group]
) -> Identity:
    """An identity from parsed parts, whatever their order; repeated groups count once.

    Without an entry of its own the primary group is called by its number.
    """
    unique = sorted(set(groups), key=lambda group: (group.gid, group.name))
    named = [group for group in unique if group.gid == gid]
    # The group that is called like the user is the primary one's usual name.
    primary = next((group for group in named if group.name == name), None)
    primary = primary or (named[0] if named else Group(str(gid), gid))
    return Identity(
        name=name,
        display_name=display_name or name,
        uid=uid,
        group=primary,
        groups=tuple(group for group in unique if group != primary),
    )


def folded(name: str) -> str:
    """Names that a person, or a directory's matching, could take for the same are the same."""
    return " ".join(unicodedata.normalize("NFKC", name).casefold().split())


class AccountPolicy(LoggingConfigurable):
    """Which accounts may have a session, and whom the others ask.

    Accounts without a UNIX identity, and those with uid or gid 0, are refused whatever is set here.

        c.AccountPolicy.support_contact = "scientific-computing@facility.example"
        c.AccountPolicy.refused_groups = ["functional_accounts"]
    """

    support_contact = Unicode(
        "",
        help="""
        Whom users ask: shown in every refusal, and in the session's page.

        An address, a telephone number or a page, as it is to stand in a sentence after *contact*.
        Set nowhere else.

            c.AccountPolicy.support_contact = "the helpdesk (helpdesk@facility.example, ext. 1234)"
        """,
    ).tag(config=True)

    minimum_uid = Int(
        1000,
        min=1,
        help="""
        Smallest user ID (uidNumber) that may have a session.

        Below are a machine's own accounts: ``daemon``, ``nginx``. 1000 is where most Linux systems
        begin with people; 0 is refused in any case.

            c.AccountPolicy.minimum_uid = 1000
        """,
    ).tag(config=True)

    required_groups = List(
        Unicode(),
        help="""
        Groups of which a user must be in at least one, by name; empty to require none.

        The primary group counts. Upper and lower case are the same.

            c.AccountPolicy.required_groups = ["dls_staff", "savu_users"]
        """,
    ).tag(config=True)

    refused_groups = List(
        Unicode(),
        help="""
        Groups whose members get no session, by name: stronger than ``required_groups``.

        The primary group counts, and of a group with several names each of them.

            c.AccountPolicy.refused_groups = ["dls_sysadmin", "functional_accounts"]
        """,
    ).tag(config=True)

    refused_gids = List(
        Int(),
        help="""
        Group IDs (gidNumber) whose members get no session, whatever the groups are called.

            c.AccountPolicy.refused_gids = [27, 998]
        """,
    ).tag(config=True)

    refused_users = List(
        Unicode(),
        help="""
        Login names that get no session. Upper and lower case are the same.

            c.AccountPolicy.refused_users = ["i12user", "gda"]
        """,
    ).tag(config=True)

    def check(self, identity: Identity) -> None:
        """Do nothing for an account that may have a session.

        Raises:
            AccountRefused: the sentence says which rule refuses it.
        """
        if identity.name in map(normalized, self.refused_users):
            raise AccountRefused(f"The account “{identity.name}” cannot have a session here.")
        if identity.uid < self.minimum_uid:
            raise AccountRefused(
                f"Your account has the user ID {identity.uid}. Below {self.minimum_uid} are system"
                " accounts, which cannot have a session here."
            )
        groups = (identity.group, *identity.groups)
        refused = set(map(folded, self.refused_groups))
        for group in groups:
            if folded(group.name) in refused or group.gid in self.refused_gids:
                raise AccountRefused(
                    f"Your account is in the group “{group.name}”, whose members cannot have a"
                    " session here."
                )
        required = set(map(normalized, self.required_groups))
        if required and required.isdisjoint(normalized(group.name) for group in groups):
            names = " or ".join(f"“{name}”" for name in self.required_groups)
            raise AccountRefused(
                f"Your account is not in {names}, which sessions here are restricted to."
            )
