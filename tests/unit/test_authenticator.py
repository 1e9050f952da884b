"""Who may log in, and what the others read."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest
from tornado.web import HTTPError
from traitlets import TraitError
from traitlets.config import Application, Config

from savu_spawner.authenticator import DirectoryAuthenticator
from savu_spawner.directory import LdapDirectory
from savu_spawner.errors import AccountIncomplete, DirectoryUnavailable
from savu_spawner.identity import Group, Identity

SETTINGS = Config(
    LdapDirectory=Config(
        servers=["ldaps://a.example"], user_base="ou=people", group_base="ou=groups"
    ),
    AccountPolicy=Config(refused_groups=["robots"], support_contact="the helpdesk"),
    Authenticator=Config(allow_all=True, admin_users={"hubadmin"}),
)


class KnownDirectory(LdapDirectory):
    """Knows ada, the robot and hubadmin (without a group id), all with the password ``right``."""

    async def check_password(self, name: str, password: str) -> bool:
        return name in ("ada", "robot", "hubadmin", "halfway") and password == "right"

    async def identity(self, name: str) -> Identity:
        if name in ("hubadmin", "halfway"):
            raise AccountIncomplete("Your account has no “gidNumber” in the directory.")
        group = Group("robots" if name == "robot" else "staff", 500)
        return Identity(name, name, 21001, group, ())


class DownDirectory(LdapDirectory):
    async def check_password(self, name: str, password: str) -> bool:
        raise DirectoryUnavailable("The directory is not available.", log_message="ldaps: refused")


def authenticator(
    directory: type[LdapDirectory] = KnownDirectory, **settings: object
) -> DirectoryAuthenticator:
    config = deepcopy(SETTINGS)
    config.merge(Config(DirectoryAuthenticator=Config(settings)))
    return DirectoryAuthenticator(config=config, directory=directory(config=config))


async def log_in(who: DirectoryAuthenticator, name: str, password: str = "right") -> Any:
    return await who.get_authenticated_user(None, {"username": name, "password": password})


@pytest.mark.parametrize("name", ["ada", "ADA"])
async def test_right_password_logs_in(name: str) -> None:
    user = await log_in(authenticator(), name)
    assert user["name"] == "ada"


async def test_wrong_password_and_unknown_name_look_the_same() -> None:
    assert await log_in(authenticator(), "ada", "wrong") is None
    assert await log_in(authenticator(), "nobody") is None
    assert await log_in(authenticator(), "robot", "wrong") is None


@pytest.mark.parametrize(("name", "sentence"), [("robot", "robots"), ("halfway", "gidNumber")])
async def test_refused_account_reads_why_and_whom_to_ask(name: str, sentence: str) -> None:
    with pytest.raises(HTTPError) as refused:
        await log_in(authenticator(), name)
    assert refused.value.status_code == 403
    shown = refused.value.jupyterhub_message
    assert sentence in shown
    assert shown.endswith("For help, contact the helpdesk.")


async def test_administrator_may_log_in_without_a_session_of_their_own() -> None:
    user = await log_in(authenticator(), "hubadmin")
    assert user["name"] == "hubadmin"
    assert user["admin"]


async def test_accounts_may_be_left_to_the_start_of_a_session() -> None:
    user = await log_in(authenticator(check_account_at_login=False), "robot")
    assert user["name"] == "robot"


async def test_directory_that_is_down_is_a_sentence() -> None:
    with pytest.raises(HTTPError) as down:
        await log_in(authenticator(DownDirectory), "ada")
    assert down.value.status_code == 503
    assert "not available" in down.value.jupyterhub_message
    assert "ldaps:" not in down.value.jupyterhub_message


async def test_nobody_logs_in_unless_somebody_is_allowed() -> None:
    config = deepcopy(SETTINGS)
    config.Authenticator = Config(allow_all=False, allowed_users={"alan"})
    closed = DirectoryAuthenticator(config=config, directory=KnownDirectory(config=config))
    assert await log_in(closed, "ada") is None


def test_passwords_on_an_open_line_stop_the_hub() -> None:
    config = deepcopy(SETTINGS)
    config.LdapDirectory.servers = ["ldap://a.example"]
    config.LdapDirectory.tls = "none"
    with pytest.raises(TraitError, match="read passwords"):
        DirectoryAuthenticator(config=config, directory=LdapDirectory(config=config))


def test_login_and_look_up_share_one_directory() -> None:
    application = Application(config=SETTINGS)
    try:
        login = DirectoryAuthenticator(parent=application)
        assert login.directory is LdapDirectory.instance(parent=application)
        assert login.policy.support_contact == "the helpdesk"
    finally:
        LdapDirectory.clear_instance()
