"""Steps of a list as hebi's JSON and back: what is not changed stays, what is wrong is named."""

from __future__ import annotations

from typing import Any

from savu_api.entries import Plugins, compile_list, entry
from savu_api.models import ProcessListInput
from savu_format.catalogue import load
from savu_format.process_list import Iteration, ProcessList, Step

from tests.support.catalogue import CATALOGUE

PLUGINS = Plugins((load(CATALOGUE),))
DEZINGER = Step(
    position="2",
    name="Dezinger",
    id="savu.plugins.filters.dezinger",
    active=True,
    parameters={"mode": 1, "odd": ["5", "a, b"], "name": "5"},
    citations=({"description": "d", "doi": "", "endnote": "", "bibtex": ""},),
    text='{"mode":1, "odd":["5","a, b"],"name":"5"}',
)
LOADER_ID = CATALOGUE["plugins"]["NxtomoLoader"]["id"]


def given(*plugins: dict[str, Any], **more: Any) -> ProcessListInput:
    return ProcessListInput.model_validate({"plugins": list(plugins), **more})


def as_input(step: Step, **changes: str) -> dict[str, Any]:
    """A step as a page that read it sends it back."""
    sent = entry(step, PLUGINS).model_dump()
    for parameter in sent["parameters"]:
        parameter["value"] = changes.get(parameter["name"], parameter["value"])
    return sent


def test_missing_parameters_get_their_defaults_in_the_plugins_order() -> None:
    compiled = compile_list(
        given({"name": "NxtomoLoader", "parameters": [{"name": "angles", "value": "0;90"}]}),
        PLUGINS,
    )
    assert compiled.errors == ()
    (step,) = compiled.process_list.steps
    assert (step.position, step.id, step.active) == ("1", LOADER_ID, True)
    assert step.parameters == {
        "preview": [],
        "data_path": "entry1/tomo_entry/data/data",
        "dark": [None, None, 1.0],
        "angles": "0;90",
        "3d_to_4d": False,
    }


def test_a_plugin_that_no_engine_has_is_kept_byte_for_byte() -> None:
    before = ProcessList((DEZINGER,))
    compiled = compile_list(given({"name": "NxtomoLoader"}, as_input(DEZINGER)), PLUGINS, before)
    assert compiled.errors == ()
    kept = compiled.process_list.steps[1]
    assert kept == DEZINGER
    assert kept.text == DEZINGER.text
    assert not entry(kept, PLUGINS).known


def test_of_an_unknown_plugin_only_the_changed_value_changes() -> None:
    compiled = compile_list(given(as_input(DEZINGER, mode="2")), PLUGINS, ProcessList((DEZINGER,)))
    assert compiled.process_list.steps[0].parameters == {**DEZINGER.parameters, "mode": 2}


def test_an_unknown_plugin_without_its_module_is_refused() -> None:
    (error,) = compile_list(given({"name": "Dezinger"}), PLUGINS).errors
    assert (error.pos, error.plugin, error.parameter) == ("1", "Dezinger", None)
    assert "No engine has a plugin Dezinger" in error.message


def test_a_list_that_means_another_module_by_a_known_name_is_marked() -> None:
    step = Step("1", "NxtomoLoader", "/tmp/mine.py", True, {"preview": []})
    assert not entry(step, PLUGINS).known
    compiled = compile_list(given(as_input(step)), PLUGINS, ProcessList((step,)))
    assert compiled.process_list.steps[0].id == "/tmp/mine.py"


def test_every_error_is_named_with_its_step_and_parameter() -> None:
    compiled = compile_list(
        given(
            {
                "name": "AstraReconCpu",
                "parameters": [
                    {"name": "algorithm", "value": "MAGIC"},
                    {"name": "n_iterations", "value": "1.5"},
                    {"name": "nonsense", "value": "1"},
                ],
            }
        ),
        PLUGINS,
    )
    assert [(e.pos, e.parameter) for e in compiled.errors] == [
        ("1", "algorithm"),
        ("1", "n_iterations"),
        ("1", "nonsense"),
    ]


def test_parameters_that_this_version_lacks_survive_a_rewrite() -> None:
    old = Step("1", "TiffSaver", "savu.plugins.savers.tiff_saver", True, {"removed": 5})
    compiled = compile_list(given(as_input(old)), PLUGINS, ProcessList((old,)))
    assert compiled.errors == ()
    assert compiled.process_list.steps[0].parameters == {"removed": 5}
    # And "save as", where there is no file of before.
    assert compile_list(given(as_input(old)), PLUGINS).errors == ()


def test_old_positions_tell_two_steps_of_one_plugin_apart() -> None:
    first = Step("1", "Dezinger", DEZINGER.id, True, {"name": "5"})
    second = Step("2", "Dezinger", DEZINGER.id, True, {"name": "6"})
    before = ProcessList((first, second))
    compiled = compile_list(given(as_input(second), as_input(first)), PLUGINS, before)
    assert [step.parameters["name"] for step in compiled.process_list.steps] == ["6", "5"]


def test_repetitions_move_with_their_steps_and_end_when_those_are_parted() -> None:
    steps = tuple(Step(str(n), "Dezinger", DEZINGER.id, True, {"n": n}) for n in (1, 2, 3))
    before = ProcessList(steps, iterations=(Iteration(2, 3, 7),))
    one, two, three = map(as_input, steps)
    moved = compile_list(given(two, three, one), PLUGINS, before).process_list
    assert moved.iterations == (Iteration(1, 2, 7),)
    assert compile_list(given(two, one, three), PLUGINS, before).process_list.iterations == ()
    assert compile_list(given(one, two), PLUGINS, before).process_list.iterations == ()
    cleared = compile_list(given(one, two, three, iterations=[]), PLUGINS, before)
    assert cleared.process_list.iterations == ()


def test_a_repetition_outside_the_list_is_refused() -> None:
    repeated = given({"name": "TiffSaver"}, iterations=[{"start": 1, "end": 2, "iterations": 3}])
    (error,) = compile_list(repeated, PLUGINS).errors
    assert "the list has 1" in error.message
