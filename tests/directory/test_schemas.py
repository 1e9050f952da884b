"""The same user in the trees of different facilities."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from demo.slapd import SCHEMA_FOLDERS, Slapd
from savu_spawner.errors import AccountIncomplete, AccountNotFound
from savu_spawner.identity import Group, Identity
from tests.directory.conftest import PASSWORD, Ask, StartServer, entries

STFC_BASE = "dc=fed,dc=facility,dc=example"

# As Active Directory is asked: users by cn, groups by the members' distinguished names, and groups
# without an id among them. Commas, brackets and capitals are usual in names there.
STFC_LIKE = entries(
    f"dn: {STFC_BASE}\nobjectClass: dcObject\nobjectClass: organization\ndc: fed\no: Federation",
    f"dn: ou=DLS,{STFC_BASE}\nobjectClass: organizationalUnit",
    f"dn: ou=RAL (main),{STFC_BASE}\nobjectClass: organizationalUnit",
    f"dn: cn=Abc12345,ou=DLS,{STFC_BASE}\nobjectClass: inetOrgPerson\n"
    "objectClass: extensibleObject\ncn: Abc12345\ngivenName: Ada\nsn: Lovelace\nuidNumber: 21001\n"
    "gidNumber: 30000",
    f"dn: cn=xyz98765,ou=RAL (main),{STFC_BASE}\nobjectClass: inetOrgPerson\n"
    "objectClass: extensibleObject\ncn: xyz98765\ngivenName: Alan\nsn: Turing\nuidNumber: 21003\n"
    "gidNumber: 30000",
    f"dn: cn=Scientists,{STFC_BASE}\nobjectClass: groupOfNames\nobjectClass: extensibleObject\n"
    f"gidNumber: 30000\nmember: cn=nobody,{STFC_BASE}",
    f"dn: cn=Visit\\, first (I12),{STFC_BASE}\nobjectClass: groupOfNames\n"
    f"objectClass: extensibleObject\ngidNumber: 31001\nmember: cn=abc12345,ou=dls,{STFC_BASE}\n"
    f"member: cn=xyz98765,ou=RAL (main),{STFC_BASE}",
    f"dn: cn=Mailing list,{STFC_BASE}\nobjectClass: groupOfNames\n"
    f"member: cn=Abc12345,ou=DLS,{STFC_BASE}",
)

STFC_SETTINGS = {
    "user_base": STFC_BASE,
    "name_attribute": "cn",
    "user_filter": "(objectClass=inetOrgPerson)",
    "group_base": STFC_BASE,
    "group_filter": "(&(objectClass=groupOfNames)(gidNumber=*))",
    "member_attribute": "member",
    "member_value": "dn",
    "display_name_attributes": ["givenName sn"],
}

ADA = Identity(
    "abc12345",
    "Ada Lovelace",
    21001,
    Group("Scientists", 30000),
    (Group("Visit, first (I12)", 31001),),
)
ALAN = Identity(
    "xyz98765",
    "Alan Turing",
    21003,
    Group("Scientists", 30000),
    (Group("Visit, first (I12)", 31001),),
)


@pytest.fixture
def stfc(start_server: StartServer) -> Slapd:
    return start_server(ldif=STFC_LIKE)


async def test_stfc_like_users_are_found_by_cn(stfc: Slapd, ask: Ask) -> None:
    directory = ask(stfc, **STFC_SETTINGS)
    assert await directory.identity("abc12345") == ADA
    assert await directory.identity("xyz98765") == ALAN
    assert await directory.identities(["abc12345", "xyz98765"]) == {
        "abc12345": ADA,
        "xyz98765": ALAN,
    }


async def test_stfc_like_passwords_are_checked(stfc: Slapd, ask: Ask) -> None:
    directory = ask(stfc, **STFC_SETTINGS)
    assert await directory.check_password("abc12345", PASSWORD)
    assert await directory.check_password("xyz98765", PASSWORD)
    assert not await directory.check_password("xyz98765", "wrong")


async def test_groups_are_no_users_though_they_have_a_cn(stfc: Slapd, ask: Ask) -> None:
    with pytest.raises(AccountNotFound):
        await ask(stfc, **STFC_SETTINGS).identity("scientists")


async def test_group_without_id_is_refused_unless_the_filter_excludes_it(
    stfc: Slapd, ask: Ask
) -> None:
    settings = STFC_SETTINGS | {"group_filter": "(objectClass=groupOfNames)"}
    with pytest.raises(AccountIncomplete, match="Mailing list"):
        await ask(stfc, **settings).identity("abc12345")


async def test_rfc2307bis_groups_list_distinguished_names(
    start_server: StartServer, ask: Ask, tmp_path: Path
) -> None:
    nis = next(file for folder in SCHEMA_FOLDERS if (file := folder / "nis.schema").exists())
    bis = re.sub(r"(NAME 'posixGroup'[^)]*?SUP top )STRUCTURAL", r"\1AUXILIARY", nis.read_text())
    assert "AUXILIARY" in bis[bis.index("'posixGroup'") :][:200]
    (tmp_path / "rfc2307bis.schema").write_text(bis)
    base = "dc=facility,dc=example"
    slapd = start_server(
        ldif=entries(
            f"dn: {base}\nobjectClass: dcObject\nobjectClass: organization\ndc: facility\no: F",
            f"dn: ou=people,{base}\nobjectClass: organizationalUnit",
            f"dn: ou=groups,{base}\nobjectClass: organizationalUnit",
            f"dn: uid=ada,ou=people,{base}\nobjectClass: inetOrgPerson\nobjectClass: posixAccount\n"
            "cn: Ada Lovelace\nsn: Lovelace\nuidNumber: 21001\ngidNumber: 21001\nhomeDirectory: /",
            f"dn: cn=ada,ou=groups,{base}\nobjectClass: groupOfNames\nobjectClass: posixGroup\n"
            f"gidNumber: 21001\nmember: uid=ada,ou=people,{base}",
            f"dn: cn=visit,ou=groups,{base}\nobjectClass: groupOfNames\nobjectClass: posixGroup\n"
            f"gidNumber: 31001\nmember: uid=ada,ou=people,{base}",
            f"dn: cn=other,ou=groups,{base}\nobjectClass: groupOfNames\nobjectClass: posixGroup\n"
            f"gidNumber: 31002\nmember: uid=alan,ou=people,{base}",
        ),
        schemas=["core", "cosine", str(tmp_path / "rfc2307bis.schema"), "inetorgperson"],
    )
    directory = ask(slapd, member_attribute="member", member_value="dn")
    ada = Identity("ada", "Ada Lovelace", 21001, Group("ada", 21001), (Group("visit", 31001),))
    assert await directory.identity("ada") == ada
    assert await directory.identities(["ada"]) == {"ada": ada}
