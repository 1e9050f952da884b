"""Who gets in, and what those read who do not."""

from __future__ import annotations

import pytest

from demo.bed import Bed
from demo.visitor import Visitor, text_of
from tests.support.people import PASSWORD, person


def test_a_scientist_logs_in_and_is_offered_a_server(bed: Bed) -> None:
    assert "Start My Server" in person(bed, "ada").home()


@pytest.mark.parametrize(
    ("name", "password"),
    [("ada", "wrong"), ("ada", ""), ("nobody-known", PASSWORD), ("*", PASSWORD)],
)
def test_wrong_credentials_are_refused_alike(bed: Bed, name: str, password: str) -> None:
    page = Visitor(bed.url, name, password).log_in()
    assert page.status_code == 403
    assert "Invalid username or password" in text_of(page)


@pytest.mark.parametrize(
    ("name", "names"),
    [("backup", "functional_accounts"), ("toor", "uidNumber"), ("halfway", "gidNumber")],
)
def test_refused_account_reads_why_and_whom_to_ask(bed: Bed, name: str, names: str) -> None:
    page = Visitor(bed.url, name, PASSWORD).log_in()
    assert page.status_code == 403
    sentence = text_of(page)
    assert names in sentence
    assert "helpdesk@facility.example" in sentence


def test_refused_account_with_a_wrong_password_learns_nothing(bed: Bed) -> None:
    page = Visitor(bed.url, "backup", "wrong").log_in()
    assert "functional_accounts" not in page.text


def test_administrator_is_one_in_the_hub(bed: Bed) -> None:
    assert person(bed, "hubadmin").hub("GET", "users").ok
    assert person(bed, "ada").hub("GET", "users/alan").status_code == 404
    assert "Admin" in person(bed, "hubadmin").home()
    assert "Admin" not in person(bed, "ada").home()
