"""Whose password is right, and what the directory's own account sees."""

from __future__ import annotations

from pathlib import Path

import pytest
from traitlets import TraitError

from demo.slapd import Slapd, hashed
from savu_spawner.errors import AccountAmbiguous, DirectoryUnavailable
from tests.directory.conftest import PASSWORD, Ask, StartServer, person

SERVICE = (
    "dn: cn=service,dc=facility,dc=example\nobjectClass: organizationalRole\n"
    "objectClass: simpleSecurityObject\ncn: service\n"
    f"userPassword: {hashed('service-password')}"
)


@pytest.mark.parametrize("tls", ["ldaps", "start_tls"])
async def test_right_password_is_right(server: Slapd, ask: Ask, tls: str) -> None:
    url = server.url if tls == "ldaps" else server.plain_url
    assert await ask(server, servers=[url], tls=tls).check_password("ada", PASSWORD)


@pytest.mark.parametrize(
    "password",
    [
        *("wrong", "", "\0", " ", PASSWORD + " ", PASSWORD[:-1], "*", "x" * 10_000),
        "\u00ad",  # Some map it to nothing, and an empty password is an anonymous visitor's.
        *("\u200b", "\ud800"),
    ],
)
async def test_wrong_password_is_wrong(server: Slapd, ask: Ask, password: str) -> None:
    directory = ask(server)
    assert not await directory.check_password("ada", password)
    assert not await directory.check_password("nobody", password)


async def test_password_may_have_any_characters(start_server: StartServer, ask: Ask) -> None:
    unusual = 'päss🔑 wörd\\,+"<>;=(*)'
    directory = ask(start_server(person("bob", 40001, 40001, f"userPassword: {hashed(unusual)}")))
    assert await directory.check_password("bob", unusual)
    assert not await directory.check_password("bob", PASSWORD)


async def test_login_leaves_other_questions_anonymous(start_server: StartServer, ask: Ask) -> None:
    """The connection of a login is not used for anything else."""
    only_anonymous = "access to attrs=gidNumber by anonymous read by * none"
    slapd = start_server(rules=[only_anonymous])
    directory = ask(slapd)
    assert await directory.check_password("ada", PASSWORD)
    for _ in range(3):
        assert (await directory.identity("ada")).group.gid == 21001


async def test_directory_that_answers_only_its_own_account(
    start_server: StartServer, ask: Ask, tmp_path: Path
) -> None:
    only_service = (
        "access to attrs=entry,uid,cn,gidNumber"
        " by dn=cn=service,dc=facility,dc=example read by * none"
    )
    slapd = start_server(SERVICE, rules=[only_service])
    service = {"bind_dn": "cn=service,dc=facility,dc=example"}
    secret = tmp_path / "password"
    secret.write_text("service-password\n")
    directory = ask(slapd, bind_password_file=str(secret), **service)
    assert (await directory.identity("ada")).uid == 21001
    assert await directory.check_password("ada", PASSWORD)
    for settings in ({"bind_password": "wrong"}, {"bind_password_file": str(tmp_path / "gone")}):
        refused_directory = ask(slapd, **service, **settings)
        for question in (
            refused_directory.identity("ada"),
            refused_directory.check_password("ada", PASSWORD),
        ):
            with pytest.raises(DirectoryUnavailable) as refused:
                await question
            assert "bind_" in refused.value.log_message


async def test_password_of_one_of_two_accounts_of_a_name_logs_nobody_in(
    start_server: StartServer, ask: Ask
) -> None:
    """Whoever may make entries somewhere in the tree is not to become the hub's administrator."""
    former = "dn: ou=former,ou=people,dc=facility,dc=example\nobjectClass: organizationalUnit"
    second = person(
        "hubadmin",
        40001,
        40001,
        "userPassword: mine",
        dn="dn: uid=hubadmin,ou=former,ou=people,dc=facility,dc=example",
    )
    directory = ask(start_server(f"{former}\n\n{second}"))
    for password in ("mine", PASSWORD):
        with pytest.raises(AccountAmbiguous):
            await directory.check_password("hubadmin", password)
    assert not await directory.check_password("hubadmin", "guessed")


async def test_account_without_password_cannot_log_in(start_server: StartServer, ask: Ask) -> None:
    robot = (
        "dn: uid=robot,ou=people,dc=facility,dc=example\nobjectClass: account\n"
        "objectClass: posixAccount\nuid: robot\ncn: Robot\nuidNumber: 40001\ngidNumber: 40001\n"
        "homeDirectory: /\nuserPassword: {CRYPT}!"
    )
    assert not await ask(start_server(robot)).check_password("robot", "!")


async def test_passwords_are_not_sent_without_tls(server: Slapd, ask: Ask) -> None:
    directory = ask(servers=[server.plain_url], tls="none")
    with pytest.raises(DirectoryUnavailable, match="cannot be checked"):
        await directory.check_password("ada", PASSWORD)
    allowed = ask(servers=[server.plain_url], tls="none", allow_insecure_passwords=True)
    assert await allowed.check_password("ada", PASSWORD)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"servers": []}, "servers is not set"),
        ({"user_base": ""}, "user_base is not set"),
        ({"group_base": ""}, "group_base is not set"),
        ({"servers": ["ldap://a.example"]}, "contradicts tls"),
        ({"servers": ["ldaps://a.example"], "tls": "start_tls"}, "contradicts tls"),
        ({"servers": ["ldaps://a.example"], "tls": "none"}, "contradicts tls"),
        ({"servers": ["http://a.example"]}, "is not like ldaps://"),
        ({"servers": ["ldaps://a.example:x"]}, "servers"),
        ({"ca_file": "/nonexistent/ca.pem"}, "ca_file"),
        ({"bind_dn": "cn=x"}, "no password"),
        (
            {"servers": ["a.example"], "tls": "none", "bind_dn": "cn=x", "bind_password": "y"},
            "readable for everybody",
        ),
        ({"user_filter": "uid=*"}, "user_filter"),
        ({"group_filter": "(a=b"}, "group_filter"),
    ],
)
def test_settings_that_cannot_be_meant_are_refused(
    ask: Ask, settings: dict[str, object], sentence: str
) -> None:
    with pytest.raises(TraitError, match=sentence):
        ask(**({"servers": ["ldaps://a.example"]} | settings))


async def test_server_may_be_given_without_scheme(server: Slapd, ask: Ask) -> None:
    directory = ask(server, servers=[f"127.0.0.1:{server.port}"])
    assert (await directory.identity("ada")).uid == 21001


async def test_wrong_base_is_no_answer(server: Slapd, ask: Ask) -> None:
    for settings in ({"user_base": "ou=typo,dc=facility,dc=example"}, {"group_base": "ou=typo"}):
        with pytest.raises(DirectoryUnavailable) as refused:
            await ask(server, **settings).identity("ada")
        assert "ou=typo" in refused.value.log_message


async def test_question_after_close_opens_anew(server: Slapd, ask: Ask) -> None:
    directory = ask(server)
    await directory.identity("ada")
    await directory.close()
    assert (await directory.identity("ada")).uid == 21001
