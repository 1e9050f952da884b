"""One run from a list to its results, with Savu's files, messages and exit codes."""

from __future__ import annotations

import contextlib
import dataclasses
import re
import shutil
from pathlib import Path
from typing import Final

from savu_format.process_list import NotAProcessList, ProcessList, read

from savu_builtin.context import Run
from savu_builtin.datasets import float_bytes
from savu_builtin.errors import (
    EngineError,
    Interrupted,
    ListRefused,
    Problem,
    StepFailed,
)
from savu_builtin.plan import RECONSTRUCTIONS, SAVERS, PlannedStep, make_plan
from savu_builtin.provenance import citations_text, sentence
from savu_builtin.result_file import ResultFile
from savu_builtin.steps import NOTHING, STEPS
from savu_builtin.user_log import UserLog
from savu_builtin.workers import Workers, available_cores

_HDF5_ERROR: Final = re.compile(
    r"(?:filename = '(?P<file>[^']+)'.*)?errno = \d+, error message = '(?P<what>[^']+)'"
)
"""How HDF5 tells what the operating system said."""


def run(scan: Path, list_path: Path, folder: Path, command: str) -> int:
    """Run the list on the scan; everything goes into ``folder``. The exit code: 0 or 1.

    0 also when the run was asked to end, as with Savu: success is 0 and "Processing Complete".
    """
    logs = folder / "run_log"
    logs.mkdir(parents=True, exist_ok=True)
    with UserLog(logs / "user.log") as log:
        try:
            process_list = _read_list(list_path)
            plan = make_plan(process_list)
            shutil.copyfile(list_path, logs / list_path.name)
            (logs / "run_command.txt").write_text(command + "\n")
            (logs / "citations.txt").write_text(citations_text(step.name for step in plan))
        except (EngineError, OSError) as error:
            log.line(f"Plugin list check failed: {error}")
            return 1
        return _run_plan(scan, folder, process_list, plan, log)


def _read_list(path: Path) -> ProcessList:
    try:
        return read(path)
    except FileNotFoundError:
        raise ListRefused([Problem("", "", "", f"There is no file {path}.")]) from None
    except NotAProcessList as error:
        raise ListRefused([Problem("", "", "", f"{path}: {error}")]) from error


def _run_plan(
    scan: Path, folder: Path, process_list: ProcessList, plan: tuple[PlannedStep, ...], log: UserLog
) -> int:
    try:
        result = ResultFile(
            folder / f"{scan.stem}_processed.nxs",
            _as_run(process_list, plan),
            [step.name for step in plan],
        )
    except OSError as error:
        log.line(f"Plugin list check failed: {error}")
        return 1
    with Workers(available_cores()) as workers:
        context = Run(scan, folder, plan, log, result, workers)
        try:
            return _run_steps(context)
        finally:
            context.abandon()


def _run_steps(context: Run) -> int:
    log, step = context.log, context.plan[0]
    try:
        loaded = STEPS[step.name](step, context)
        _check_space(context)
        log.line("Plugin list check complete!")
        log.line(sentence())
        for message in loaded:
            log.line(f"{step.name} - {message}")
        context.stop_if_asked()
        for step in context.plan[1:]:
            log.running(step.name)
            report = STEPS[step.name](step, context)
            log.percent(step.name, 1.0)
            for message in report or NOTHING:
                log.line(f"{step.name} - {message}")
            context.stop_if_asked()
        context.close()
        context.result.end("complete", complete=True)
    except Interrupted:
        _note_end(context, "interrupted by killsignal")
        log.ended("interrupted by killsignal")
        return 0
    except Exception as error:
        reason = _reason(error)
        log.line(f"{step.name} - Failed: {reason}")
        _note_end(context, f"{step.name} failed: {reason}")
        return 1
    log.ended("Complete")
    return 0


def _note_end(context: Run, outcome: str) -> None:
    """The result is marked incomplete already; here is why, if the disk takes it."""
    with contextlib.suppress(OSError):
        context.result.end(outcome, complete=False)


def _as_run(process_list: ProcessList, plan: tuple[PlannedStep, ...]) -> ProcessList:
    """The list as it is run: active steps only, with all parameters and names of datasets."""
    steps = []
    for planned in plan:
        parameters = dict(planned.parameters)
        if "in_datasets" in parameters:
            parameters["in_datasets"] = [planned.source]
        if parameters.get("out_datasets") == [] and planned.name not in SAVERS:
            parameters["out_datasets"] = list(planned.results)
        steps.append(dataclasses.replace(planned.step, parameters=parameters))
    return dataclasses.replace(process_list, steps=tuple(steps))


def _reason(error: Exception) -> str:
    """A sentence for any exception: of the unexpected ones, at least what they are."""
    if isinstance(error, EngineError):
        return str(error)
    if isinstance(error, MemoryError):
        return "There was not enough memory."
    by_hdf5 = _HDF5_ERROR.search(" ".join(str(error).split("\n")))
    if by_hdf5 is not None:
        return f"{by_hdf5['what']} ({by_hdf5['file'] or 'a file of the results'})."
    if isinstance(error, OSError) and error.strerror:
        where = f" ({error.filename})" if error.filename else ""
        return f"{error.strerror}{where}."
    if isinstance(error, ValueError):
        return str(error)
    return f"{type(error).__name__}: {error}"


def _check_space(context: Run) -> None:
    """Raises StepFailed if the results cannot fit on the disk."""
    needed = 0
    shapes: dict[str, tuple[int, ...]] = {
        name: dataset.shape for name, dataset in context.datasets.items()
    }
    for step in context.plan[1:]:
        shape = shapes.get(step.source, ())
        if step.name in RECONSTRUCTIONS:
            width = step.parameters["vol_shape"]
            size = width if isinstance(width, int) else shape[2]
            shape = (size, shape[1], size)
        if step.name in ("VoCentering", "Hdf5Saver"):
            continue
        needed += float_bytes(*shape)
        for name in step.results:
            shapes[name] = shape
    free = shutil.disk_usage(context.folder).free
    if needed > free:
        raise StepFailed(
            f"The results need {needed / 1e9:.1f} GB, and the disk of {context.folder} has "
            f"{free / 1e9:.1f} GB left."
        )
