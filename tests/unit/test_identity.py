"""Who a session runs as, and which accounts may have one."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from traitlets.config import Config

from savu_spawner.errors import AccountError, AccountIncomplete, AccountRefused
from savu_spawner.identity import (
    LARGEST_ID,
    AccountPolicy,
    Group,
    Identity,
    check_not_locked,
    is_possible_name,
    make_identity,
    normalized,
    parse_group,
    parse_id,
)

STAFF, VISIT = Group("staff", 500), Group("cm1_1", 600)
ADA = Identity("ada", "Ada Lovelace", 21001, STAFF, (VISIT,))


def policy(**settings: object) -> AccountPolicy:
    return AccountPolicy(config=Config(AccountPolicy=Config(settings)))


@pytest.mark.parametrize(
    ("text", "number"), [("1", 1), ("0042", 42), (str(LARGEST_ID), LARGEST_ID)]
)
def test_ids_are_numbers(text: str, number: int) -> None:
    assert parse_id([text], "uidNumber") == number


@pytest.mark.parametrize(
    "values",
    [
        *(
            [],
            [""],
            ["-1"],
            [str(LARGEST_ID + 1)],
            ["4294967295"],
            ["1" * 31],
            ["1", "2"],
            ["7", "7"],
        ),
        *([" 7"], ["7\n"], ["+7"], ["0x7"], ["7.0"], ["1e3"], ["1_000"], ["٧"], ["７"], ["seven"]),
    ],
)
def test_what_is_no_id_is_refused_with_the_attribute(values: list[str]) -> None:
    with pytest.raises(AccountIncomplete, match="“uidNumber”"):
        parse_id(values, "uidNumber")


@pytest.mark.parametrize("text", ["0", "00", "-0"])
def test_root_is_refused(text: str) -> None:
    with pytest.raises(AccountRefused, match="system administrator"):
        parse_id([text], "uidNumber")


@given(st.lists(st.text(), max_size=3))
def test_any_values_are_a_sound_id_or_refused(values: list[str]) -> None:
    try:
        number = parse_id(values, "uidNumber")
    except AccountError:
        pass
    else:
        assert len(values) == 1
        assert 0 < number <= LARGEST_ID
        assert values[0].lstrip("0") == str(number)


@pytest.mark.parametrize("names", [[], [""], ["a\nb"], ["a\0"], ["a\u202eb"]])
def test_group_without_usable_name_is_refused(names: list[str]) -> None:
    with pytest.raises(AccountIncomplete, match="name"):
        parse_group(names, ["7"], "gidNumber")


def test_group_without_id_is_refused_by_its_name() -> None:
    with pytest.raises(AccountIncomplete, match="group “visit” has no “gidNumber”"):
        parse_group(["visit"], [], "gidNumber")
    with pytest.raises(AccountRefused, match="group “wheel”"):
        parse_group(["wheel"], ["0"], "gidNumber")


def test_supplementary_groups_are_sorted_without_the_primary_one() -> None:
    identity = make_identity("ada", "", 21001, 500, [VISIT, Group("b", 550), STAFF, VISIT])
    assert identity == Identity("ada", "ada", 21001, STAFF, (Group("b", 550), VISIT))
    assert identity.gids == (550, 600)


def test_another_name_of_the_primary_group_is_kept_for_the_policy() -> None:
    identity = make_identity("ada", "Ada", 21001, 500, [Group("ada", 500), Group("admins", 500)])
    assert identity.group == Group("ada", 500)
    assert identity.groups == (Group("admins", 500),)
    assert identity.gids == ()
    with pytest.raises(AccountRefused, match="admins"):
        policy(refused_groups=["admins"]).check(identity)


@pytest.mark.parametrize(
    "name", ["", " ada", "ada ", "a\0", "a\nb", "a" * 256, "a\u200b", "\u202eada"]
)
def test_names_that_are_nobodys(name: str) -> None:
    assert not is_possible_name(name)


@pytest.mark.parametrize(
    "name", ["ada", "ada.lovelace", "ada@facility.example", "a", "élodie", "*"]
)
def test_names_that_may_be_asked_for(name: str) -> None:
    assert is_possible_name(name)


@pytest.mark.parametrize(
    ("attributes", "sentence"),
    [
        ({"shadowexpire": ["1"]}, "expired"),
        ({"shadowexpire": ["20000"]}, "expired"),
        ({"useraccountcontrol": ["514"]}, "locked"),
        ({"pwdaccountlockedtime": ["000001010000Z"]}, "locked"),
        ({"nsaccountlock": ["TRUE"]}, "locked"),
    ],
)
def test_locked_and_expired_accounts_are_refused(
    attributes: dict[str, list[str]], sentence: str
) -> None:
    with pytest.raises(AccountRefused, match=sentence):
        check_not_locked(attributes, date(2026, 1, 1))


@pytest.mark.parametrize(
    "attributes",
    [
        {},
        {"shadowexpire": ["-1"]},
        {"shadowexpire": [""]},
        {"shadowexpire": ["30000"]},
        {"useraccountcontrol": ["512"]},
        {"nsaccountlock": ["FALSE"]},
        # Ends by itself: too many wrong passwords, which anybody can type.
        {"pwdaccountlockedtime": ["20260101000000Z"]},
    ],
)
def test_other_accounts_are_not(attributes: dict[str, list[str]]) -> None:
    check_not_locked(attributes, date(2026, 1, 1))


def test_default_policy_lets_people_in() -> None:
    policy().check(ADA)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"minimum_uid": 30000}, "user ID 21001. Below 30000"),
        ({"refused_users": ["Ada"]}, "account “ada”"),
        ({"refused_groups": ["staff"]}, "group “staff”"),
        ({"refused_groups": ["CM1_1"]}, "group “cm1_1”"),
        ({"refused_groups": ["ｃｍ1_1 "]}, "group “cm1_1”"),
        ({"refused_gids": [600]}, "group “cm1_1”"),
        ({"refused_gids": [500]}, "group “staff”"),
        ({"required_groups": ["a", "b"]}, "not in “a” or “b”"),
        ({"required_groups": [""]}, "not in"),
        ({"required_groups": ["cm1"]}, "not in"),
        ({"required_groups": ["staff"], "refused_groups": ["cm1_1"]}, "group “cm1_1”"),
    ],
)
def test_each_rule_refuses_with_its_sentence(settings: dict[str, object], sentence: str) -> None:
    with pytest.raises(AccountRefused, match=sentence):
        policy(**settings).check(ADA)


@pytest.mark.parametrize(
    "settings",
    [
        {"minimum_uid": 21001},
        {"required_groups": ["nobody", "STAFF"]},
        {"required_groups": ["cm1_1"]},
        {"refused_groups": ["staf", "cm1"], "refused_users": ["adalbert"]},
    ],
)
def test_rules_that_do_not_apply_let_in(settings: dict[str, object]) -> None:
    policy(**settings).check(ADA)


def test_refusal_says_whom_to_ask() -> None:
    rules = policy(minimum_uid=30000, support_contact="the helpdesk (ext. 1234)")
    with pytest.raises(AccountRefused) as refused:
        rules.check(ADA)
    sentence = refused.value.sentence(rules.support_contact)
    assert sentence.endswith("For help, contact the helpdesk (ext. 1234).")


GROUPS = st.builds(Group, st.sampled_from(["a", "b", "A", "staff"]), st.integers(1, LARGEST_ID))


@given(
    uid=st.integers(1, LARGEST_ID),
    primary=GROUPS,
    groups=st.lists(GROUPS, max_size=4),
    minimum=st.integers(1, 70000),
    required=st.lists(st.sampled_from(["a", "b", "c"]), max_size=2),
    refused=st.lists(st.sampled_from(["a", "b", "c"]), max_size=2),
)
def test_whoever_is_let_in_breaks_no_rule(
    uid: int,
    primary: Group,
    groups: list[Group],
    minimum: int,
    required: list[str],
    refused: list[str],
) -> None:
    identity = make_identity("ada", "Ada", uid, primary.gid, [primary, *groups])
    rules = policy(minimum_uid=minimum, required_groups=required, refused_groups=refused)
    names = {normalized(group.name) for group in (primary, *groups)}
    lawful = (
        uid >= minimum
        and names.isdisjoint(refused)
        and (not required or not names.isdisjoint(required))
    )
    try:
        rules.check(identity)
    except AccountRefused:
        assert not lawful
    else:
        assert lawful


@given(st.text(max_size=20), st.text(max_size=20))
def test_names_are_the_same_only_if_the_hub_says_so(one: str, other: str) -> None:
    assume(one != other)
    assert (normalized(one) == normalized(other)) == (one.lower() == other.lower())
