"""Which lists the built-in engine runs, and why it refuses the others."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from savu_builtin.errors import ListRefused, Problem
from savu_builtin.plan import make_plan
from savu_builtin.sample import sample_list
from savu_format.process_list import Iteration, ProcessList, Step

from tests.support.sample import FULL, QUICK, Steps


def problems(process_list: ProcessList) -> tuple[Problem, ...]:
    with pytest.raises(ListRefused) as refused:
        make_plan(process_list)
    return refused.value.problems


def changed(steps: Steps, plugin: str, **values: Any) -> ProcessList:
    return sample_list(
        tuple((name, {**given, **values} if name == plugin else given) for name, given in steps)
    )


def test_steps_are_numbered_and_connected_as_in_savu() -> None:
    plan = make_plan(sample_list(FULL))
    assert [(step.number, step.name, step.source, step.results) for step in plan] == [
        (0, "NxtomoLoader", "", ("tomo",)),
        (1, "DarkFlatFieldCorrection", "tomo", ("tomo",)),
        (2, "RemoveAllRings", "tomo", ("tomo",)),
        (3, "VoCentering", "tomo", ("cor_preview", "cor_broadcast")),
        (4, "AstraReconCpu", "tomo", ("tomo",)),
        (5, "TiffSaver", "tomo", ()),
    ]


def test_steps_that_are_switched_off_do_not_count() -> None:
    steps = [
        dataclasses.replace(step, active=step.name != "RemoveAllRings")
        for step in sample_list(FULL).steps
    ]
    plan = make_plan(ProcessList(tuple(steps)))
    assert [(step.number, step.step.position) for step in plan][2] == (2, "4")


def test_a_plugin_that_the_engine_lacks_may_stand_switched_off() -> None:
    unknown = Step("9", "TomopyRecon", "savu.plugins.reconstructions.tomopy_recon", False, {})
    assert make_plan(ProcessList((*sample_list(QUICK).steps, unknown)))


def test_an_unknown_plugin_is_named_with_its_position() -> None:
    unknown = Step("4", "TomopyRecon", "savu.plugins.reconstructions.tomopy_recon", True, {})
    (problem,) = problems(ProcessList((*sample_list(QUICK).steps, unknown)))
    assert (problem.position, problem.plugin) == ("4", "TomopyRecon")
    assert "does not have this plugin" in problem.message


def test_all_problems_are_told_at_once() -> None:
    steps = (*QUICK[:2], ("AstraReconCpu", {"algorithm": "SIRT", "outer_pad": True}))
    assert {problem.parameter for problem in problems(sample_list(steps))} == {
        "algorithm",
        "outer_pad",
    }


@pytest.mark.parametrize(
    ("plugin", "parameter", "value", "says"),
    [
        ("AstraReconCpu", "algorithm", "SIRT", "one of FBP"),
        ("AstraReconCpu", "FBP_filter", "parzen", "ram-lak"),
        ("AstraReconCpu", "log_func", "__import__('os').abort()", "log_func"),
        ("AstraReconCpu", "centre_of_rotation", "80;81;82", "several values"),
        ("AstraReconCpu", "centre_of_rotation", "nowhere", "nowhere"),
        ("AstraReconCpu", "vol_shape", 0, "number of pixels"),
        ("AstraReconCpu", "invented", 1, "does not know"),
        ("AstraReconCpu", "preview", ["os.abort()"], "preview"),
        ("AstraReconCpu", "in_datasets", ["other"], "no dataset 'other'"),
        ("AstraReconCpu", "out_datasets", ["../up"], "name of a dataset"),
        ("AstraReconCpu", "out_datasets", ["a", "b"], "makes 1 dataset"),
        ("DarkFlatFieldCorrection", "lower_bound", "low", "lower_bound"),
        ("NxtomoLoader", "3d_to_4d", True, "3d_to_4d"),
        ("NxtomoLoader", "angles", 180, "several scans"),
        ("NxtomoLoader", "flat", ["/some/file.nxs", None, 1.0], "flat"),
        ("NxtomoLoader", "name", "a/b", "name of a dataset"),
    ],
)
def test_what_the_engine_cannot_do_is_refused_before_the_run(
    plugin: str, parameter: str, value: Any, says: str
) -> None:
    found = problems(changed(QUICK, plugin, **{parameter: value}))
    assert [problem.plugin for problem in found] == [plugin]
    assert says in found[0].message


@pytest.mark.parametrize("prefix", ["../up", "a b", "x/y", ""])
def test_a_prefix_of_file_names_is_not_a_path(prefix: str) -> None:
    (problem,) = problems(sample_list((*QUICK, ("TiffSaver", {"prefix": prefix}))))
    assert problem.parameter == "prefix"


def test_another_module_of_the_same_name_is_refused() -> None:
    steps = sample_list(QUICK).steps
    other = dataclasses.replace(steps[1], id="/home/ada/my_plugin.py")
    (problem,) = problems(ProcessList((steps[0], other, steps[2])))
    assert "/home/ada/my_plugin.py" in problem.message


@pytest.mark.parametrize(
    ("order", "says"),
    [
        (("DarkFlatFieldCorrection",), "has to load"),
        (("NxtomoLoader",), "No step follows"),
        (("NxtomoLoader", "NxtomoLoader"), "loads one dataset"),
        (("NxtomoLoader", "AstraReconCpu", "RemoveAllRings"), "reconstructed already"),
        (
            ("NxtomoLoader", "RemoveAllRings", "DarkFlatFieldCorrection"),
            "no scan with dark and flat fields",
        ),
        (("NxtomoLoader", "DarkFlatFieldCorrection", "TiffSaver"), "no planes VOLUME_XZ"),
    ],
)
def test_steps_in_an_order_that_cannot_be_are_refused(order: tuple[str, ...], says: str) -> None:
    found = problems(sample_list(tuple((name, {}) for name in order)))
    assert any(says in problem.message for problem in found), found


def test_an_empty_list_is_refused() -> None:
    assert problems(ProcessList(()))[0].message == "The list has no step that is switched on."


def test_steps_that_repeat_are_refused() -> None:
    steps = sample_list(QUICK).steps
    (problem,) = problems(ProcessList(steps, iterations=(Iteration(2, 3, 4),)))
    assert "repeatedly" in problem.message


def test_savus_own_spelling_of_nothing_is_understood() -> None:
    steps = changed(QUICK, "NxtomoLoader", dark=["None", "None", 1.0])
    assert make_plan(steps)[0].parameters["dark"] == [None, None, 1.0]


def test_a_centre_may_come_from_a_dataset_that_a_step_made() -> None:
    steps = (*FULL[:4], ("AstraReconCpu", {"centre_of_rotation": "cor_broadcast"}))
    assert make_plan(sample_list(steps))[-1].parameters["centre_of_rotation"] == "cor_broadcast"
