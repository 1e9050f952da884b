"""Whatever a directory answers: the identity of exactly this user's entry, or a refusal."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from savu_spawner.directory import LdapDirectory
from savu_spawner.directory.connections import Entry
from savu_spawner.errors import AccountError
from savu_spawner.identity import LARGEST_ID, Identity

USERS, GROUPS = "ou=people", "ou=groups"

VALUES = st.one_of(
    st.sampled_from(["ada", "Ada", "ADA", "ａｄａ", "ada ", "alan", "0", "-1", "21001", "021001"]),
    st.sampled_from(["30000", "30001", str(LARGEST_ID), str(LARGEST_ID + 1), "abc", "", "2e4"]),
    st.text(max_size=4),
)


def attributes(*names: str) -> st.SearchStrategy[dict[str, list[str]]]:
    return st.dictionaries(st.sampled_from(names), st.lists(VALUES, max_size=2))


def usual(**values: str) -> st.SearchStrategy[dict[str, list[str]]]:
    return st.just({name: [value] for name, value in values.items()})


USER = st.one_of(
    attributes("uid", "uidnumber", "gidnumber", "cn", "sn", "givenname", "displayname"),
    usual(uid="ada", uidnumber="21001", gidnumber="30000", cn="Ada"),
    usual(uid="Ada", uidnumber="21001", gidnumber="30001"),
)
GROUP = st.one_of(
    attributes("cn", "gidnumber", "memberuid"),
    usual(cn="ada", gidnumber="30000"),
    usual(cn="visit", gidnumber="30001"),
)


class AnyDirectory:
    """Answers every question about users, and every one about groups, with the same entries."""

    def __init__(self, users: Iterable[Entry], groups: Iterable[Entry]) -> None:
        self.answers = {USERS: list(users), GROUPS: list(groups)}

    async def run(self, ask: Callable[[Any], Any], deadline: float, **_: object) -> Any:
        return ask(self)

    def search(self, base: str, *_: object) -> list[Entry]:
        return self.answers[base]


def directory(member_value: str) -> LdapDirectory:
    return LdapDirectory(
        servers=["ldaps://a.example"],
        user_base=USERS,
        group_base=GROUPS,
        member_value=member_value,
    )


DIRECTORIES = {value: directory(value) for value in ("name", "dn")}


def entries(found: Iterable[dict[str, list[str]]]) -> list[Entry]:
    return [Entry(f"dn={number}", values) for number, values in enumerate(found)]


@given(
    st.lists(USER, max_size=2),
    st.lists(GROUP, max_size=3),
    st.sampled_from(["name", "dn"]),
)
def test_identity_is_the_entrys_or_refused(
    users: list[dict[str, list[str]]], groups: list[dict[str, list[str]]], member_value: str
) -> None:
    directory = DIRECTORIES[member_value]
    directory._servers = AnyDirectory(entries(users), entries(groups))  # type: ignore[assignment]
    try:
        identity = asyncio.run(directory.identity("ada"))
    except AccountError:
        return
    assert isinstance(identity, Identity)
    assert len(users) == 1
    (user,) = users
    assert [name.lower() for name in user["uid"]] == ["ada"] == [identity.name]
    assert user["uidnumber"][0].lstrip("0") == str(identity.uid)
    assert user["gidnumber"][0].lstrip("0") == str(identity.group.gid)
    assert len(user["uidnumber"]) == len(user["gidnumber"]) == 1
    assert 0 < identity.uid <= LARGEST_ID
    assert 0 < identity.group.gid <= LARGEST_ID
    gids = {int(group["gidnumber"][0]) for group in groups}
    assert set(identity.gids) == gids - {identity.group.gid}
    assert identity.display_name
