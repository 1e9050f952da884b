"""What each program is told, and what is refused because it would be read as something else."""

from __future__ import annotations

from dataclasses import replace

import pytest

from savu_spawner.contract import ENVIRONMENT, PROGRAMS
from savu_spawner.environment import Places, SessionSettings, environments, hub_environment
from savu_spawner.identity import Group
from tests.support.identities import ADA

SETTINGS = SessionSettings(
    prefix="/user/ada/",
    server_name="",
    hub_url="/hub/",
    support_contact="the helpdesk",
    data_roots=("/dls", "/scratch"),
)
PLACES = Places(
    sockets={
        "gate": "unix:/run/g/gate.sock",
        "api": "unix:/run/a/api.sock",
        "dataserver": "127.0.0.1:8080",
    },
    web_listen="127.0.0.1:8888",
    web_health_listen="unix:/run/w/health.sock",
    web_run_dir="/run/w",
    state_dir="/state",
    home="/home/savu",
    temporary="/tmp",
)


def test_every_variable_of_the_contract_is_set_and_no_other() -> None:
    made = environments(ADA, SETTINGS, PLACES)
    assert {program: set(made[program]) for program in PROGRAMS} == {
        program: set(ENVIRONMENT[program]) for program in PROGRAMS
    }
    assert all(isinstance(value, str) for each in made.values() for value in each.values())


def test_whoever_connects_is_told_the_address_where_the_other_listens() -> None:
    made = environments(ADA, SETTINGS, PLACES)
    assert made["web"]["GATE_UPSTREAM"] == made["gate"]["GATE_LISTEN"]
    assert made["web"]["DATASERVER_UPSTREAM"] == made["dataserver"]["DATASERVER_LISTEN"]
    assert {made["web"]["API_UPSTREAM"], made["gate"]["API_UPSTREAM"]} == {
        made["api"]["API_LISTEN"]
    }


def test_a_program_that_serves_data_knows_all_roots() -> None:
    made = environments(ADA, SETTINGS, PLACES)
    assert made["api"]["DATA_ROOTS"] == made["dataserver"]["DATA_ROOTS"] == "/dls:/scratch"


def test_groups_are_named_with_the_primary_one_first() -> None:
    made = environments(ADA, SETTINGS, PLACES)
    assert made["api"]["SESSION_GROUPS"] == "ada=37001,cm10001_1=41001,i12_staff=41002"


@pytest.mark.parametrize("name", ["a,b=0", "a=1", "domain users", "é%2C"])
def test_a_groups_name_cannot_look_like_another_group(name: str) -> None:
    identity = replace(ADA, groups=(Group(name, 41001),))
    groups = environments(identity, SETTINGS, PLACES)["api"]["SESSION_GROUPS"].split(",")
    assert [group.partition("=")[2] for group in groups] == ["37001", "41001"]


@pytest.mark.parametrize(
    ("settings", "places"),
    [
        (replace(SETTINGS, data_roots=("/a:/etc",)), PLACES),
        (replace(SETTINGS, data_roots=("relative",)), PLACES),
        (replace(SETTINGS, data_roots=("/a\0b",)), PLACES),
        (replace(SETTINGS, engines=("builtin,savu",)), PLACES),
        (
            SETTINGS,
            replace(PLACES, sockets={**PLACES.sockets, "api": f"unix:/{'x' * 100}/api.sock"}),
        ),
    ],
    ids=["root with a colon", "relative root", "root with NUL", "comma", "long socket path"],
)
def test_a_value_that_would_be_misread_is_refused(
    settings: SessionSettings, places: Places
) -> None:
    with pytest.raises(ValueError, match=r".+"):
        environments(ADA, settings, places)


def test_of_the_hubs_variables_only_its_own_go_to_the_gate() -> None:
    given = {
        "JUPYTERHUB_API_TOKEN": "t",
        "JPY_API_TOKEN": "t",
        "MEM_LIMIT": "1",
        "CONFIGPROXY_AUTH_TOKEN": "p",
        "NOT_JUPYTERHUB_": "x",
    }
    assert hub_environment(given) == {"JUPYTERHUB_API_TOKEN": "t", "JPY_API_TOKEN": "t"}
