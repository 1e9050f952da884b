"""Engines say what they lack, or why they cannot be used; jobs see nothing of the session."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from savu_api import engines as engines_module
from savu_api.engines import Engine, Engines, Lack, clean_environment, is_loader, load_engines
from savu_api.settings import Listen, Settings
from savu_format.catalogue import load
from savu_format.process_list import ProcessList, Step

from tests.support.fake_engine import CATALOGUE

LOADER = Step(
    "1", "NxtomoLoader", "savu.plugins.loaders.full_field_loaders.nxtomo_loader", True, {}
)
INVERT = Step("2", "Invert", "savu.plugins.filters.invert", True, {"mode": "slow"})
ENGINE = Engine("savu", "4.2", True, catalogue=load(CATALOGUE), argv=("python", "run.py"))


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    (tmp_path / "state").mkdir()
    return Settings(
        listen=Listen("/run/api.sock"),
        state_dir=tmp_path / "state",
        data_roots=(tmp_path,),
        visit_path_template="",
        user="ada",
        display_name="Ada",
        server_name="",
        groups=(),
        hub_url="/hub/",
        support_contact="",
        engines=("savu",),
        savu_python=None,
        savu_catalogue=None,
    )


def a_program(path: Path, script: str) -> Path:
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


def test_the_command_line_is_savus_own():
    assert ENGINE.command("/d/scan.nxs", Path("/d/list.nxs"), "/d/out", "run") == [
        *("python", "run.py", "/d/scan.nxs", "/d/list.nxs", "/d/out", "-f", "run")
    ]


def test_a_list_of_known_steps_lacks_nothing():
    assert ENGINE.missing(ProcessList((LOADER, INVERT))) == []


def test_a_step_that_is_switched_off_is_not_lacking():
    unknown = Step("3", "TomopyRecon", "savu.plugins.x", False, {})
    assert ENGINE.missing(ProcessList((LOADER, unknown))) == []
    assert ENGINE.missing(ProcessList((LOADER, replace(unknown, active=True)))) == [
        Lack("3", "TomopyRecon", "savu has no such plugin")
    ]


def test_only_an_engine_that_imports_what_a_list_names_minds_another_module():
    foreign = ProcessList((replace(INVERT, id="/tmp/invert.py"),))
    assert ENGINE.missing(foreign) == []
    (lack,) = replace(ENGINE, checks_ids=True).missing(foreign)
    assert "/tmp/invert.py" in lack.reason


@pytest.mark.parametrize(("mode", "lacks"), [("slow", 0), ("fast;slow;", 0), ("odd", 1), (7, 1)])
def test_an_option_that_the_engine_has_not_is_lacking(mode: object, lacks: int):
    step = replace(INVERT, parameters={"mode": mode})
    assert len(ENGINE.missing(ProcessList((step,)))) == lacks


def test_an_engine_that_cannot_be_used_lacks_every_step():
    broken = Engine("savu", reason="its disk is full.")
    assert [lack.pos for lack in broken.missing(ProcessList((LOADER, INVERT)))] == ["1", "2"]


def test_the_default_is_the_first_that_is_available():
    broken = Engine("savu", reason="no")
    builtin = Engine("builtin", available=True)
    assert Engines([broken, builtin]).default is builtin
    assert Engines([broken]).default is None


def test_a_loader_is_known_by_its_module_or_its_name():
    assert is_loader(LOADER)
    assert is_loader(replace(LOADER, id=""))
    assert not is_loader(INVERT)


def test_a_jobs_environment_holds_no_setting_of_the_session():
    given = {
        "HOME": "/home/ada",
        "API_STATE_DIR": "/s",
        "JUPYTERHUB_API_TOKEN": "t",
        "PYTHONPATH": "/ours",
        "VIRTUAL_ENV": "/ours",
        "SESSION_GROUPS": "g",
        "CUDA_VISIBLE_DEVICES": "0",
        "PATH": "/ours/bin",
    }
    assert clean_environment("/opt/savu/bin/python", given) == {
        "HOME": "/home/ada",
        "CUDA_VISIBLE_DEVICES": "0",
        "PATH": "/opt/savu/bin:/usr/local/bin:/usr/bin:/bin",
        "LANG": "C.UTF-8",
        "PYTHONUNBUFFERED": "1",
    }


def test_without_an_interpreter_savu_is_not_available_and_says_why(settings: Settings):
    (engine,) = load_engines(settings)
    assert not engine.available
    assert engine.reason == "no interpreter with Savu is configured."


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("echo no savu here >&2; exit 1", "it ended with exit code 1: no savu here"),
        ("echo '{\"plug'", "its catalogue of plugins is not JSON."),
        ("echo '[]'", "its catalogue of plugins is not a JSON object."),
        ("echo '{}'", "its catalogue of plugins cannot be read"),
        ("sleep 60", "it did not answer within 1 s."),
    ],
)
def test_an_interpreter_that_cannot_tell_its_plugins_is_not_available(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, reason: str
):
    monkeypatch.setattr(engines_module, "EXPORT_SECONDS", 1.0)
    python = a_program(
        tmp_path / "python", f"exec sh -c '{script}'" if "sleep" in script else script
    )
    (engine,) = load_engines(replace(settings, savu_python=python))
    assert not engine.available
    assert engine.reason.startswith(reason)


def test_savus_catalogue_is_asked_for_once_and_kept(settings: Settings, tmp_path: Path):
    (tmp_path / "catalogue.json").write_text(json.dumps(CATALOGUE))
    python = a_program(
        tmp_path / "python", f"echo asked >> {tmp_path}/asked; cat {tmp_path}/catalogue.json"
    )
    settings = replace(settings, savu_python=python)
    for _ in range(2):
        (engine,) = load_engines(settings)
        assert engine.available
        assert engine.version == "fake"
        assert engine.argv[0] == str(python)
    assert (tmp_path / "asked").read_text() == "asked\n"

    (kept,) = settings.state_dir.glob("catalogue-*.json")
    kept.write_text("damaged")
    assert next(iter(load_engines(settings))).available
    assert (tmp_path / "asked").read_text() == "asked\nasked\n"


def test_an_exported_catalogue_is_read_in_place_of_asking(settings: Settings, tmp_path: Path):
    catalogue = tmp_path / "catalogue.json"
    catalogue.write_text(json.dumps(CATALOGUE))
    python = a_program(tmp_path / "python", "exit 1")
    settings = replace(settings, savu_python=python, savu_catalogue=catalogue)
    assert next(iter(load_engines(settings))).available
