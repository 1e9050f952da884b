"""Whom the directory describes, and whom it does not quite."""

from __future__ import annotations

import base64

import pytest

from demo.slapd import Slapd
from savu_spawner.errors import (
    AccountAmbiguous,
    AccountError,
    AccountIncomplete,
    AccountNotFound,
    AccountRefused,
    DirectoryUnavailable,
)
from savu_spawner.identity import AccountPolicy, Group, Identity
from tests.directory.conftest import Ask, StartServer, entries, person, posix_group

ADA = Identity("ada", "Ada Lovelace", 21001, Group("ada", 21001), (Group("cm10001_1", 31001),))


async def test_user_is_found_with_ids_and_groups(server: Slapd, ask: Ask) -> None:
    assert await ask(server).identity("ada") == ADA


async def test_start_tls_finds_the_same(server: Slapd, ask: Ask) -> None:
    directory = ask(server, servers=[server.plain_url], tls="start_tls")
    assert await directory.identity("ada") == ADA


async def test_without_tls_finds_the_same_where_allowed(server: Slapd, ask: Ask) -> None:
    directory = ask(server, servers=[server.plain_url], tls="none")
    assert await directory.identity("ada") == ADA


async def test_many_are_found_as_each_alone(server: Slapd, ask: Ask) -> None:
    directory = ask(server)
    names = ["ada", "alan", "grace", "hubadmin", "backup", "toor", "halfway", "nobody", "*", "ADA"]
    answers = await directory.identities(names)
    assert set(answers) == set(names)
    for name in names:
        answer = answers[name]
        if isinstance(answer, AccountError):
            with pytest.raises(type(answer)) as refused:
                await directory.identity(name)
            assert str(refused.value) == str(answer)
        else:
            assert answer == await directory.identity(name)


async def test_nobody_is_asked_for_nobody(ask: Ask) -> None:
    assert await ask(servers=["ldaps://127.0.0.1:1"]).identities([]) == {}


async def test_hundreds_are_found_at_once(start_server: StartServer, ask: Ask) -> None:
    people = [person(f"u{n}", 40000 + n, 50000) for n in range(250)]
    group = posix_group("everybody", 50001, *(f"u{n}" for n in range(250)))
    directory = ask(start_server(entries(*people, group, posix_group("staff", 50000))))
    answers = await directory.identities([f"u{n}" for n in range(250)])
    for n in range(250):
        assert answers[f"u{n}"] == Identity(
            f"u{n}", "Some Body", 40000 + n, Group("staff", 50000), (Group("everybody", 50001),)
        )


async def test_unknown_user_is_not_found(server: Slapd, ask: Ask) -> None:
    with pytest.raises(AccountNotFound, match="no account “nobody”"):
        await ask(server).identity("nobody")


@pytest.mark.parametrize(
    "name",
    [
        *("*", "a*", "x)(uid=*", "ada)(uid=*", r"\2a", r"\61da", "ada\0", "\0", ""),
        *("a" * 10_000, "ada,ou=people", "uid=ada", "(ada)", "ada\n", "&", "|(uid=ada)"),
        *("a>=b", ">=ada", "ada~=ada", "a:=b", ":dn:=ada", "ada<=", "=*", "~", "\ud800", "\\"),
    ],
)
async def test_filter_characters_find_nobody(server: Slapd, ask: Ask, name: str) -> None:
    directory = ask(server)
    with pytest.raises(AccountNotFound):
        await directory.identity(name)
    assert not await directory.check_password(name, "correct horse battery staple")
    assert isinstance((await directory.identities([name]))[name], AccountNotFound)


@pytest.mark.parametrize(
    "name", ["ADA", "Ada", " ada", "ada ", "ａｄａ", "ad​a", "áda", "ada\u00ad", "ªda"]
)
async def test_other_spellings_find_nobody(server: Slapd, ask: Ask, name: str) -> None:
    """The directory's own matching folds case, width and spaces; ours does not."""
    directory = ask(server)
    with pytest.raises(AccountNotFound):
        await directory.identity(name)
    assert not await directory.check_password(name, "correct horse battery staple")


async def test_entry_in_capitals_keeps_its_groups(start_server: StartServer, ask: Ask) -> None:
    """memberUid is compared exactly: the groups are asked for by the entry's own spelling."""
    directory = ask(
        start_server(
            entries(
                person("Fed1", 40001, 40001),
                posix_group("fed1", 40001),
                posix_group("visit", 40002, "Fed1"),
                posix_group("foreign", 40003, "fed1"),
            )
        )
    )
    expected = Identity("fed1", "Some Body", 40001, Group("fed1", 40001), (Group("visit", 40002),))
    assert await directory.identity("fed1") == expected
    assert await directory.identities(["fed1", "ada"]) == {"fed1": expected, "ada": ADA}


@pytest.mark.parametrize("listed", [[], ["bob"]])
async def test_group_called_like_the_user_is_no_membership(
    start_server: StartServer, ask: Ask, listed: list[str]
) -> None:
    directory = ask(
        start_server(
            entries(
                person("bob", 40001, 40010),
                posix_group("bob", 40001),
                posix_group("staff", 40010, *listed),
            )
        )
    )
    expected = Identity("bob", "Some Body", 40001, Group("staff", 40010), ())
    assert await directory.identity("bob") == expected
    assert (await directory.identities(["bob"]))["bob"] == expected


async def test_members_are_whom_the_directory_matches(start_server: StartServer, ask: Ask) -> None:
    """One at a time or many at once: where case does not matter to the directory, nor to us."""
    group = posix_group("visit", 40002) + "\ndescription: ADA\ndescription: alan"
    directory = ask(start_server(group), member_attribute="description")
    answers = await directory.identities(["ada", "alan", "grace"])
    for name, gids in (("ada", (40002,)), ("alan", (40002,)), ("grace", ())):
        answer = answers[name]
        assert isinstance(answer, Identity)
        assert answer.gids == gids
        assert answer == await directory.identity(name)


async def test_primary_group_that_does_not_list_the_user_is_found(
    start_server: StartServer, ask: Ask
) -> None:
    directory = ask(
        start_server(entries(person("bob", 40001, 40010), posix_group("staff", 40010, "alan")))
    )
    assert await directory.identity("bob") == Identity(
        "bob", "Some Body", 40001, Group("staff", 40010), ()
    )


async def test_primary_group_without_entry_is_called_by_its_number(
    start_server: StartServer, ask: Ask
) -> None:
    directory = ask(start_server(person("bob", 40001, 40010)))
    assert (await directory.identity("bob")).group == Group("40010", 40010)


async def test_group_is_known_by_each_of_its_names(start_server: StartServer, ask: Ask) -> None:
    aliased = posix_group("robots", 50001, "ada") + "\ncn: functional_accounts"
    ada = await ask(start_server(aliased)).identity("ada")
    assert ada.gids == (31001, 50001)
    with pytest.raises(AccountRefused, match="functional_accounts"):
        AccountPolicy(refused_groups=["functional_accounts"]).check(ada)


async def test_two_entries_are_ambiguous(start_server: StartServer, ask: Ask) -> None:
    second = person("ada", 666, 666, dn="dn: uid=ada,ou=former,ou=people,dc=facility,dc=example")
    former = "dn: ou=former,ou=people,dc=facility,dc=example\nobjectClass: organizationalUnit"
    directory = ask(start_server(entries(former, second)))
    with pytest.raises(AccountAmbiguous, match="several accounts"):
        await directory.identity("ada")
    assert isinstance((await directory.identities(["ada"]))["ada"], AccountAmbiguous)


async def test_entries_that_fold_together_are_ambiguous(
    start_server: StartServer, ask: Ask
) -> None:
    encoded = base64.b64encode("ａｄａ".encode()).decode()
    wide = person(
        "ada",
        666,
        666,
        f"uid:: {encoded}",
        "mail: ada",
        dn="dn: mail=ada,ou=people,dc=facility,dc=example",
    )
    directory = ask(start_server(wide))
    with pytest.raises(AccountAmbiguous):
        await directory.identity("ada")
    answers = await directory.identities(["ada", "alan"])
    assert isinstance(answers["ada"], AccountAmbiguous)
    assert isinstance(answers["alan"], Identity)


async def test_several_login_names_are_ambiguous(start_server: StartServer, ask: Ask) -> None:
    directory = ask(start_server(person("bob", 40001, 40001, "uid: bob", "uid: robert")))
    for name in ("bob", "robert"):
        with pytest.raises(AccountAmbiguous, match="several login names"):
            await directory.identity(name)


@pytest.mark.parametrize(
    ("uid", "gid", "attribute", "error"),
    [
        (None, 40001, "uidNumber", AccountIncomplete),
        (40001, None, "gidNumber", AccountIncomplete),
        (None, None, "uidNumber", AccountIncomplete),
        (0, 40001, "uidNumber", AccountRefused),
        (40001, 0, "gidNumber", AccountRefused),
        (-1, 40001, "uidNumber", AccountIncomplete),
        (40001, -2, "gidNumber", AccountIncomplete),
        (2**31, 40001, "uidNumber", AccountIncomplete),
        (40001, 2**32 - 1, "gidNumber", AccountIncomplete),
        (2**64 + 40001, 40001, "uidNumber", AccountIncomplete),
    ],
)
async def test_absurd_ids_are_refused_by_name(
    start_server: StartServer,
    ask: Ask,
    uid: int | None,
    gid: int | None,
    attribute: str,
    error: type[AccountError],
) -> None:
    directory = ask(start_server(person("bob", uid, gid)))
    with pytest.raises(error, match=attribute) as refused:
        await directory.identity("bob")
    assert type(refused.value) is error
    assert type((await directory.identities(["bob"]))["bob"]) is error


@pytest.mark.parametrize("lines", [["employeeNumber: 40 001"], ["employeeNumber: 0x9c41"]])
async def test_ids_that_are_no_numbers_are_refused(
    start_server: StartServer, ask: Ask, lines: list[str]
) -> None:
    directory = ask(
        start_server(person("bob", 40001, 40001, *lines)), uid_attribute="employeeNumber"
    )
    with pytest.raises(AccountIncomplete, match=r"employeeNumber.*not a number"):
        await directory.identity("bob")


async def test_several_ids_are_refused(start_server: StartServer, ask: Ask) -> None:
    lines = ["description: 40001", "description: 40002"]
    directory = ask(start_server(person("bob", 40001, 40001, *lines)), uid_attribute="description")
    with pytest.raises(AccountIncomplete, match="several values"):
        await directory.identity("bob")


async def test_group_without_id_is_not_left_out(start_server: StartServer, ask: Ask) -> None:
    group = (
        "dn: cn=broken,ou=groups,dc=facility,dc=example\nobjectClass: organizationalRole\n"
        "objectClass: extensibleObject\ncn: broken\nmemberUid: ada"
    )
    slapd = start_server(group)
    with pytest.raises(AccountIncomplete, match=r"group “broken”.*gidNumber"):
        await ask(slapd, group_filter="(cn=*)").identity("ada")
    assert await ask(slapd).identity("ada") == ADA


async def test_two_thousand_groups_are_all_there(start_server: StartServer, ask: Ask) -> None:
    groups = [posix_group(f"visit_{n}", 50000 + n, "ada") for n in range(2000)]
    directory = ask(start_server(entries(*groups), options=["sizelimit 5000"]), timeout=60)
    ada = await directory.identity("ada")
    assert ada.gids == (31001, *range(50000, 52000))
    assert (await directory.identities(["ada"]))["ada"] == ada


async def test_groups_cut_off_by_the_server_are_refused(
    start_server: StartServer, ask: Ask
) -> None:
    groups = [posix_group(f"visit_{n}", 50000 + n, "ada") for n in range(20)]
    directory = ask(start_server(entries(*groups), options=["sizelimit 10"]))
    with pytest.raises(DirectoryUnavailable) as refused:
        await directory.identity("ada")
    assert "sizeLimitExceeded" in refused.value.log_message
    assert (await directory.identity("grace")).gids == (31002,)


async def test_many_users_are_asked_for_one_by_one_where_all_are_too_many(
    start_server: StartServer, ask: Ask
) -> None:
    directory = ask(start_server(options=["sizelimit 2"]))
    answers = await directory.identities(["ada", "alan", "grace", "hubadmin"])
    assert answers["ada"] == ADA
    assert all(isinstance(answer, Identity) for answer in answers.values())


async def test_many_are_asked_for_one_by_one_where_all_are_too_many(
    start_server: StartServer, ask: Ask
) -> None:
    groups = [
        posix_group(f"{name}_{n}", 50000 + n, name) for name in ("ada", "alan") for n in range(6)
    ]
    directory = ask(start_server(entries(*groups), options=["sizelimit 10"]))
    answers = await directory.identities(["ada", "alan"])
    for name in ("ada", "alan"):
        assert answers[name] == await directory.identity(name)
        assert len(answers[name].groups) == 7


async def test_expired_account_is_refused(start_server: StartServer, ask: Ask) -> None:
    directory = ask(start_server(person("bob", 40001, 40001, "shadowExpire: 1")))
    with pytest.raises(AccountRefused, match="has expired"):
        await directory.identity("bob")


async def test_display_name_falls_back_to_what_there_is(
    start_server: StartServer, ask: Ask
) -> None:
    slapd = start_server(person("bob", 40001, 40001))
    assert (await ask(slapd).identity("bob")).display_name == "Some Body"
    nothing = ask(slapd, display_name_attributes=["givenName sn"])
    assert (await nothing.identity("bob")).display_name == "bob"
