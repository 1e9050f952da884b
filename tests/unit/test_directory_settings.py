"""What an administrator reads about the settings, and what a wrong one says."""

from __future__ import annotations

import pytest
from traitlets import HasTraits

from savu_spawner.authenticator import DirectoryAuthenticator
from savu_spawner.directory import LdapDirectory
from savu_spawner.directory.connections import ServerAddress, is_filter, term
from savu_spawner.identity import AccountPolicy


def own_settings(cls: type[HasTraits]) -> list[str]:
    return [
        name
        for name in cls.class_trait_names(config=True)
        if next(base for base in cls.__mro__ if name in vars(base)).__module__.startswith("savu_")
    ]


@pytest.mark.parametrize("cls", [LdapDirectory, AccountPolicy, DirectoryAuthenticator])
def test_help_shows_a_line_to_copy(cls: type[HasTraits]) -> None:
    settings = own_settings(cls)
    assert settings
    for name in settings:
        assert f"c.{cls.__name__}.{name} = " in cls.class_traits()[name].help, name


@pytest.mark.parametrize(
    ("text", "tls", "shown"),
    [
        ("ldaps://a.example", "ldaps", "ldaps://a.example:636"),
        ("ldaps://a.example:1636/", "ldaps", "ldaps://a.example:1636"),
        ("ldap://a.example", "start_tls", "ldap://a.example:389"),
        ("a.example", "ldaps", "ldaps://a.example:636"),
        ("a.example:1389", "none", "ldap://a.example:1389"),
        ("ldaps://[::1]:636", "ldaps", "ldaps://[::1]:636"),
    ],
)
def test_servers_are_urls(text: str, tls: str, shown: str) -> None:
    assert str(ServerAddress.parse(text, tls)) == shown


@pytest.mark.parametrize("text", ["", "ldaps://", "ldaps://a.example/dc=x", "ldapi:///run/x"])
def test_other_servers_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not like"):
        ServerAddress.parse(text, "ldaps")


@pytest.mark.parametrize("text", ["(uid=*)", "(&(objectClass=group)(gidNumber=*))", "(!(a=b))"])
def test_filters_are_in_parentheses(text: str) -> None:
    assert is_filter(text)


@pytest.mark.parametrize("text", ["uid=*", "(uid=*", "((uid=*)", "uid=*)", "()", "(uid)"])
def test_other_filters_are_refused(text: str) -> None:
    assert not is_filter(text)


def test_value_in_a_filter_has_no_sign_of_its_own() -> None:
    assert term("uid", "ada") == "(uid=ada)"
    assert term("uid", "*)(a=\\") == r"(uid=\2a\29\28a=\5c)"
    assert term("uid", " é>") == r"(uid=\20\c3\a9\3e)"
