"""The built-in engine as a program: from a scan and a list to results in Savu's layout."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import psutil
import pytest
import tifffile
from savu_builtin.sample import IMAGE_KEY_PATH, VISITS, Scan, bodies, generate, phantom
from savu_format.process_list import ProcessList, Step, read, write

from tests.support.sample import (
    FULL,
    QUICK,
    RINGS,
    SMALL,
    Steps,
    correlation,
    make_list,
    make_scan,
)

PERCENT = re.compile(r" - (?P<plugin>\w+) -\s+(?P<percent>\d+)% complete$")
STAMPED = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} - (?P<message>.*)")


@pytest.fixture(scope="session")
def numba_cache(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Where compiled code is kept: a user's second run does not compile again."""
    return os.environ.get("NUMBA_CACHE_DIR") or str(tmp_path_factory.mktemp("numba"))


def start(cache: str, *arguments: object, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "savu_builtin", *map(str, arguments)],
        env={**os.environ, "NUMBA_CACHE_DIR": cache, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


class Finished:
    """A run that ended, and what it left."""

    def __init__(self, folder: Path, code: int, stderr: str) -> None:
        self.folder, self.code, self.stderr = folder, code, stderr

    @property
    def messages(self) -> list[str]:
        """The lines of user.log without their time."""
        lines = (self.folder / "run_log/user.log").read_text().splitlines()
        matches = [STAMPED.fullmatch(line) for line in lines]
        assert all(matches), lines
        return [match["message"] for match in matches if match]

    def result(self) -> h5py.File:
        (path,) = self.folder.glob("*_processed.nxs")
        return h5py.File(path, "r")


Runner = Callable[..., Finished]


@pytest.fixture
def run_list(tmp_path: Path, numba_cache: str) -> Runner:
    """Runs steps, or a list, on a scan."""

    def run(scan: Path, steps: Steps | Path, name: str = "out", **environment: str) -> Finished:
        path = steps if isinstance(steps, Path) else make_list(tmp_path / "list.nxs", steps)
        # One core: what is tested here does not depend on how many processes work.
        process = start(numba_cache, scan, path, tmp_path, "-f", name, **environment)
        os.sched_setaffinity(process.pid, {min(os.sched_getaffinity(0))})
        _, stderr = process.communicate(timeout=120)
        return Finished(tmp_path / name, process.returncode, stderr)

    return run


@pytest.fixture(scope="module")
def scan(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_scan(tmp_path_factory.mktemp("scan"))


@pytest.fixture(scope="module")
def full_run(scan: Path, tmp_path_factory: pytest.TempPathFactory, numba_cache: str) -> Finished:
    """A usual list, run once with all cores."""
    folder = tmp_path_factory.mktemp("full")
    process_list = make_list(folder / "list.nxs", FULL)
    process = start(numba_cache, scan, process_list, folder, "-f", "out")
    _, stderr = process.communicate(timeout=120)
    return Finished(folder / "out", process.returncode, stderr)


# -- A run that succeeds --------------------------------------------------------------------------


def test_a_run_ends_with_success_and_says_so(full_run: Finished) -> None:
    assert full_run.code == 0, full_run.stderr
    assert full_run.messages[-2] == "* Processing Complete *"


def test_the_reconstruction_is_the_phantom(full_run: Finished) -> None:
    with full_run.result() as file:
        volume = file["entry/final_result_tomo/data"][()]
    truth = phantom(SMALL)
    assert volume.shape == truth.shape == (96, 12, 96)
    assert volume.dtype == np.float32
    # Measured: 0.94 to 0.96.
    for row in range(1, SMALL.rows - 1):
        assert correlation(volume[:, row], truth[:, row]) > 0.9, row


def test_the_centre_is_found_to_half_a_pixel(full_run: Finished) -> None:
    (line,) = [line for line in full_run.messages if "Centre of rotation is" in line]
    assert abs(float(line.rpartition(":")[2]) - SMALL.centre) <= 0.5
    with full_run.result() as file:
        centres = file["entry/final_result_tomo/meta_data/centre_of_rotation/centre_of_rotation"]
        assert centres.shape == (SMALL.rows,)
        assert (abs(centres[()] - SMALL.centre) <= 0.5).all()


def test_files_bear_savus_names(full_run: Finished) -> None:
    images = {f"TiffSaver_4/img_small_00001_{row:05d}.tiff" for row in range(SMALL.rows)}
    found = {
        str(path.relative_to(full_run.folder))
        for path in full_run.folder.rglob("*")
        if path.is_file()
    }
    assert found == images | {
        "small_00001_processed.nxs",
        "tomo_p1_dark_flat_field_correction.h5",
        "tomo_p2_remove_all_rings.h5",
        "cor_preview_p3_vo_centering.h5",
        "cor_broadcast_p3_vo_centering.h5",
        "tomo_p4_astra_recon_cpu.h5",
        "run_log/user.log",
        "run_log/list.nxs",
        "run_log/run_command.txt",
        "run_log/citations.txt",
    }


def test_the_result_links_by_relative_path_to_what_lies_beside_it(full_run: Finished) -> None:
    with full_run.result() as file:
        links = {
            name: file[f"entry/{name}"].get("data", getlink=True)
            for name in (
                "final_result_tomo",
                "intermediate/1-DarkFlatFieldCorrection-tomo",
                "intermediate/2-RemoveAllRings-tomo",
            )
        }
        assert {name: (link.filename, link.path) for name, link in links.items()} == {
            "final_result_tomo": ("tomo_p4_astra_recon_cpu.h5", "4-AstraReconCpu-tomo/data"),
            "intermediate/1-DarkFlatFieldCorrection-tomo": (
                "tomo_p1_dark_flat_field_correction.h5",
                "1-DarkFlatFieldCorrection-tomo/data",
            ),
            "intermediate/2-RemoveAllRings-tomo": (
                "tomo_p2_remove_all_rings.h5",
                "2-RemoveAllRings-tomo/data",
            ),
        }


def test_the_result_links_by_absolute_path_to_the_scan(full_run: Finished, scan: Path) -> None:
    with full_run.result() as file:
        link = file["entry/input_data/tomo"].get("data", getlink=True)
        assert (link.filename, link.path) == (str(scan), "/entry1/tomo_entry/data/data")
        assert file["entry/input_data/tomo/data"].shape[1:] == (SMALL.rows, SMALL.columns)


def test_axes_and_units_are_savus(full_run: Finished) -> None:
    with full_run.result() as file:
        final = file["entry/final_result_tomo"]
        assert list(final.attrs["axes"]) == ["voxel_x", "voxel_y", "voxel_z"]
        assert final.attrs["signal"] == "data"
        assert [final[axis].size for axis in final.attrs["axes"]] == [96, 12, 96]
        stack = file["entry/intermediate/2-RemoveAllRings-tomo"]
        assert list(stack.attrs["axes"]) == ["rotation_angle", "detector_y", "detector_x"]
        assert stack["rotation_angle"].attrs["units"] == "degrees"
        np.testing.assert_allclose(stack["rotation_angle"], SMALL.angles)


def test_the_list_that_ran_is_in_the_result(full_run: Finished) -> None:
    (path,) = full_run.folder.glob("*_processed.nxs")
    steps = read(path).steps
    assert [(step.position, step.name) for step in steps] == [
        (str(position), name) for position, (name, _) in enumerate(FULL, start=1)
    ]
    assert steps[2].parameters["snr"] == RINGS["snr"]


def test_images_are_the_slices(full_run: Finished) -> None:
    with full_run.result() as file:
        volume = file["entry/final_result_tomo/data"][()]
    image = tifffile.imread(full_run.folder / "TiffSaver_4/img_small_00001_00005.tiff")
    np.testing.assert_array_equal(image, volume[:, 5])


def test_progress_of_every_step_goes_from_nothing_to_all(full_run: Finished) -> None:
    lines = (full_run.folder / "run_log/user.log").read_text().splitlines()
    found: dict[str, list[int]] = {}
    for match in filter(None, map(PERCENT.search, lines)):
        found.setdefault(match["plugin"], []).append(int(match["percent"]))
    assert list(found) == [name for name, _ in FULL[1:]]
    for plugin, percents in found.items():
        assert percents[0] == 0, plugin
        assert percents[-1] == 100, plugin
        assert percents == sorted(set(percents)), plugin


def test_messages_come_in_savus_order(full_run: Finished) -> None:
    messages = full_run.messages
    places = [
        messages.index("User Log Started"),
        messages.index("Plugin list check complete!"),
        messages.index("*Running the DarkFlatFieldCorrection plugin*"),
        messages.index("DarkFlatFieldCorrection -   0% complete"),
        messages.index("DarkFlatFieldCorrection - 100% complete"),
        messages.index("DarkFlatFieldCorrection - Nothing to Report"),
        messages.index("*Running the RemoveAllRings plugin*"),
    ]
    assert places == sorted(places)
    assert full_run.stderr.splitlines() == messages


def test_the_result_names_the_engine_and_its_libraries_and_not_savu(full_run: Finished) -> None:
    with full_run.result() as file:
        process = file["entry/process"]
        assert process.attrs["NX_class"] == "NXprocess"
        assert process["program"].asstr()[()] == "savu_builtin"
        assert set(process["libraries"]) >= {"algotom", "scikit-image", "numpy"}
        assert "not by Savu" in process["note/data"].asstr()[()]
        assert process["complete"][()]
        assert not [name for name in file["entry/framework_citations"] if "Savu" in name]
    text = (full_run.folder / "run_log/citations.txt").read_text()
    assert "not by Savu" in text
    assert "10.1364/OE.418448" in text  # Algotom
    assert "10.1364/OE.22.019078" in text  # the method of VoCentering
    assert "algotom" in "".join(full_run.messages)


def test_nothing_is_left_running(full_run: Finished) -> None:
    mine = str(full_run.folder)
    assert not [
        process.pid
        for process in psutil.process_iter(["cmdline"])
        if any(mine in part for part in process.info["cmdline"] or ())
    ]


# -- Other lists ----------------------------------------------------------------------------------


def test_scikit_image_reconstructs_the_same_phantom(run_list: Runner, scan: Path) -> None:
    steps = (*FULL[:3], ("ScikitimageFilterBackProjection", QUICK[2][1]), ("Hdf5Saver", {}))
    done = run_list(scan, steps)
    assert done.code == 0, done.stderr
    assert done.messages[-4] == (
        "Hdf5Saver - tomo is in tomo_p3_scikitimage_filter_back_projection.h5 already."
    )
    with done.result() as file:
        slice_ = file["entry/final_result_tomo/data"][:, 6]
    assert correlation(slice_, phantom(SMALL)[:, 6]) > 0.9


def test_steps_that_are_switched_off_are_left_out(
    run_list: Runner, scan: Path, tmp_path: Path
) -> None:
    process_list = make_list(tmp_path / "l.nxs", FULL, off=("RemoveAllRings", "TiffSaver"))
    done = run_list(scan, process_list)
    assert done.code == 0, done.stderr
    with done.result() as file:
        link = file["entry/final_result_tomo"].get("data", getlink=True)
        assert link.filename == "tomo_p3_astra_recon_cpu.h5"
        assert set(file["entry/plugin"]) == {"1", "2", "4", "5"}


def test_a_preview_reconstructs_a_few_rows_of_the_same(run_list: Runner, scan: Path) -> None:
    preview = {"preview": [":", "mid-1:mid+2", ":"]}
    done = run_list(scan, (("NxtomoLoader", preview), *QUICK[1:]))
    whole = run_list(scan, QUICK, "whole")
    with done.result() as few, whole.result() as all_rows:
        part = few["entry/final_result_tomo/data"][()]
        assert part.shape == (96, 3, 96)
        assert list(few["entry/final_result_tomo/voxel_y"]) == [4, 5, 6]
        np.testing.assert_allclose(
            part, all_rows["entry/final_result_tomo/data"][:, 4:7], atol=1e-6
        )


def test_two_results_of_one_scan_are_both_final(run_list: Runner, scan: Path) -> None:
    steps = (
        *QUICK[:2],
        ("AstraReconCpu", {"in_datasets": ["tomo"], "out_datasets": ["one"]}),
        ("AstraReconCpu", {"in_datasets": ["tomo"], "FBP_filter": "hann", "vol_shape": 40}),
    )
    done = run_list(scan, steps)
    assert done.code == 0, done.stderr
    with done.result() as file:
        assert file["entry/final_result_one/data"].shape == (96, 12, 96)
        assert file["entry/final_result_tomo/data"].shape == (40, 12, 40)


def test_fields_of_another_file_are_used(run_list: Runner, scan: Path, tmp_path: Path) -> None:
    fields = tmp_path / "fields.h5"
    with h5py.File(fields, "w") as file:
        file["flat"] = np.full((2, 12, 96), 5000.0)
        file["dark"] = np.full((12, 96), 90, np.uint16)
    given = {"flat": [str(fields), "flat", 2.0], "dark": [str(fields), "dark", 1.0]}
    done = run_list(scan, (("NxtomoLoader", given), ("DarkFlatFieldCorrection", {})))
    assert done.code == 0, done.stderr
    with done.result() as file:
        corrected = file["entry/final_result_tomo/data"][0]
    with h5py.File(scan) as file:
        raw = file["entry1/tomo_entry/data/data"]
        first = int(np.flatnonzero(file[IMAGE_KEY_PATH][()] == 0)[0])
        np.testing.assert_allclose(corrected, (raw[first] - 90.0) / 9910, rtol=1e-5)


def test_raw_sinograms_are_read_without_decoding_each_frame_again_and_again(
    run_list: Runner, scan: Path
) -> None:
    steps = (("NxtomoLoader", {}), ("AstraReconCpu", {"log": False}))
    small_blocks = {"SAVU_BUILTIN_BLOCK_BYTES": str(100_000)}
    done = run_list(scan, steps, **small_blocks)
    whole = run_list(scan, steps, "whole")
    assert done.code == 0, done.stderr
    with done.result() as one, whole.result() as other:
        np.testing.assert_array_equal(
            one["entry/final_result_tomo/data"], other["entry/final_result_tomo/data"]
        )
    assert not list(done.folder.glob(".scratch*"))


def test_light_that_is_missing_is_reported(run_list: Runner, scan: Path) -> None:
    done = run_list(scan, QUICK)
    assert any("no logarithm" in message for message in done.messages)


# -- Runs that cannot be --------------------------------------------------------------------------


def failure(done: Finished) -> str:
    """The last words of a run that failed."""
    assert done.code == 1, done.stderr
    assert "Traceback" not in done.stderr
    return done.messages[-1]


def test_a_list_that_the_engine_lacks_steps_for_is_refused_in_words(
    run_list: Runner, scan: Path
) -> None:
    done = run_list(scan, (*QUICK[:2], ("AstraReconCpu", {"algorithm": "SIRT"})))
    assert failure(done) == (
        "Plugin list check failed: AstraReconCpu (step 3): algorithm has to be one of FBP, and "
        "'SIRT' is not."
    )
    assert not list(done.folder.glob("*_processed.nxs"))


def test_a_list_that_is_none_is_refused(run_list: Runner, scan: Path) -> None:
    assert "holds no process list" in failure(run_list(scan, scan))


def test_a_scan_that_is_absent_is_named(run_list: Runner, tmp_path: Path) -> None:
    absent = tmp_path / "absent.nxs"
    assert failure(run_list(absent, QUICK)) == (
        f"NxtomoLoader - Failed: There is no file {absent}."
    )


def test_a_truncated_scan_is_said_to_be_cut_off(run_list: Runner, tmp_path: Path) -> None:
    master = make_scan(tmp_path)
    frames = tmp_path / "small_00001_frames.h5"
    os.truncate(frames, frames.stat().st_size // 2)
    assert "is cut off" in failure(run_list(master, QUICK))


def test_a_foreign_file_is_said_to_be_none_of_hdf5(run_list: Runner, tmp_path: Path) -> None:
    foreign = tmp_path / "letter.nxs"
    foreign.write_text("Dear Sir, " * 100)
    assert "is not an HDF5 file" in failure(run_list(foreign, QUICK))


def test_frames_that_were_moved_away_are_named(run_list: Runner, tmp_path: Path) -> None:
    master = make_scan(tmp_path)
    (tmp_path / "small_00001_frames.h5").unlink()
    assert "small_00001_frames.h5, which does not exist" in failure(run_list(master, QUICK))


def test_damaged_frames_are_counted(run_list: Runner, tmp_path: Path) -> None:
    master = make_scan(tmp_path)
    with h5py.File(tmp_path / "small_00001_frames.h5") as file:
        data = file["entry1/tomo_entry/data/data"]
        chunk = data.id.get_chunk_info(40)
    with (tmp_path / "small_00001_frames.h5").open("r+b") as raw:
        raw.seek(chunk.byte_offset)
        raw.write(b"\xff" * chunk.size)
    done = run_list(master, QUICK)
    assert "cannot be read" in failure(done)
    assert failure(done).startswith("DarkFlatFieldCorrection - Failed: Frames ")


def test_a_scan_without_an_image_key_is_refused(run_list: Runner, tmp_path: Path) -> None:
    master = make_scan(tmp_path)
    with h5py.File(master, "r+") as file:
        del file[IMAGE_KEY_PATH]
    assert f"has nothing at {IMAGE_KEY_PATH}" in failure(run_list(master, QUICK))


def test_a_wrong_path_in_the_file_is_named(run_list: Runner, scan: Path) -> None:
    steps = (("NxtomoLoader", {"data_path": "entry/data/data"}), *QUICK[1:])
    assert "has nothing at entry/data/data" in failure(run_list(scan, steps))


def test_a_group_is_no_stack_of_frames(run_list: Runner, scan: Path) -> None:
    steps = (("NxtomoLoader", {"data_path": "entry1/tomo_entry/data"}), *QUICK[1:])
    assert "is a group" in failure(run_list(scan, steps))


def test_a_scan_without_flat_fields_cannot_be_corrected(run_list: Runner, scan: Path) -> None:
    steps = (("NxtomoLoader", {"ignore_flats": [1, 2]}), *QUICK[1:])
    assert "has no flat field" in failure(run_list(scan, steps))


def test_angles_that_do_not_match_are_counted(run_list: Runner, scan: Path, tmp_path: Path) -> None:
    np.savetxt(tmp_path / "angles.txt", np.linspace(0, 180, 50))
    steps = (("NxtomoLoader", {"angles": str(tmp_path / "angles.txt")}), *QUICK[1:])
    assert "The number of angles 50 does not match the data dimension length 91" in failure(
        run_list(scan, steps)
    )


def test_expressions_in_a_list_are_never_evaluated(
    run_list: Runner, scan: Path, tmp_path: Path
) -> None:
    trap = tmp_path / "trap"
    code = f"__import__('pathlib').Path({str(trap)!r}).touch()"
    done = run_list(scan, (("NxtomoLoader", {"angles": code}), *QUICK[1:]))
    assert "not evaluated" in failure(done)
    assert not trap.exists()


def test_a_centre_outside_the_frames_is_refused(run_list: Runner, scan: Path) -> None:
    done = run_list(scan, (*QUICK[:2], ("AstraReconCpu", {"centre_of_rotation": 400.0})))
    assert failure(done) == (
        "AstraReconCpu - Failed: The centre of rotation 400 is not between the columns 0 and 95."
    )
    with done.result() as file:
        assert not file["entry/process/complete"][()]
        assert "AstraReconCpu failed" in file["entry/process/outcome"].asstr()[()]


def test_a_full_disk_is_foreseen(run_list: Runner, scan: Path) -> None:
    done = run_list(scan, (*QUICK[:2], ("AstraReconCpu", {"vol_shape": 90_000})))
    assert re.search(r"The results need [\d.]+ GB, and the disk of .* left\.", failure(done))


def test_a_disk_that_fills_up_during_the_run_is_named(
    scan: Path, tmp_path: Path, numba_cache: str
) -> None:
    process_list = make_list(tmp_path / "l.nxs", QUICK)
    # The corrected frames need 419 kB: a limit on the size of files stands for the end of the disk.
    done = subprocess.run(
        ["bash", "-c", 'ulimit -f 300; exec "$@"', "bash", sys.executable, "-m", "savu_builtin"]
        + [str(argument) for argument in (scan, process_list, tmp_path, "-f", "out")],
        env={**os.environ, "NUMBA_CACHE_DIR": numba_cache},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    finished = Finished(tmp_path / "out", done.returncode, done.stderr)
    assert failure(finished).startswith("DarkFlatFieldCorrection - Failed: File too large (")
    with finished.result() as file:
        assert not file["entry/process/complete"][()]


def test_a_process_that_is_killed_fails_the_run_with_its_likely_reason(
    scan: Path, tmp_path: Path, numba_cache: str
) -> None:
    if len(os.sched_getaffinity(0)) < 2:
        pytest.skip("with one core there is one process")
    process = start(numba_cache, scan, make_list(tmp_path / "l.nxs"), tmp_path, "-f", "out")
    assert process.stderr is not None
    for line in process.stderr:
        children = psutil.Process(process.pid).children()
        if children and line.startswith("RemoveAllRings -  "):
            children[0].kill()
            break
    process.communicate(timeout=60)
    done = Finished(tmp_path / "out", process.returncode, "")
    assert "the memory ran out" in failure(done)


# -- Runs that are ended --------------------------------------------------------------------------


def test_a_kill_signal_ends_the_run_and_the_result_says_so(
    scan: Path, tmp_path: Path, numba_cache: str
) -> None:
    process = start(numba_cache, scan, make_list(tmp_path / "l.nxs"), tmp_path, "-f", "out")
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith("*Running the RemoveAllRings"):
            (tmp_path / "out/killsignal").touch()
            break
    process.communicate(timeout=60)
    done = Finished(tmp_path / "out", process.returncode, "")
    assert done.code == 0
    assert done.messages[-2] == "* Processing interrupted by killsignal *"
    with done.result() as file:
        assert not file["entry/process/complete"][()]
        assert file["entry/process/outcome"].asstr()[()] == "interrupted by killsignal"
        assert not [name for name in file["entry"] if name.startswith("final_result")]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_killed_run_leaves_a_result_marked_incomplete_and_no_process(
    scan: Path, tmp_path: Path, numba_cache: str, number: signal.Signals
) -> None:
    process = start(numba_cache, scan, make_list(tmp_path / "l.nxs"), tmp_path, "-f", "out")
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith("RemoveAllRings -  2"):
            break
    children = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(number)
    process.communicate(timeout=30)
    assert process.returncode == -number
    _, alive = psutil.wait_procs(children, timeout=10)
    assert not alive
    with Finished(tmp_path / "out", 0, "").result() as file:
        assert not file["entry/process/complete"][()]
        assert file["entry/intermediate/1-DarkFlatFieldCorrection-tomo/data"].shape == (91, 12, 96)


# -- The rest of the command line -----------------------------------------------------------------


def test_the_result_can_be_opened_at_every_moment(
    scan: Path, tmp_path: Path, numba_cache: str
) -> None:
    process = start(numba_cache, scan, make_list(tmp_path / "l.nxs", QUICK), tmp_path, "-f", "out")
    path = tmp_path / "out/small_00001_processed.nxs"
    seen = 0
    while process.poll() is None:
        if path.exists():
            with h5py.File(path, "r") as file:
                assert "process" in file["entry"]
                seen += 1
        time.sleep(0.01)
    process.communicate()
    assert process.returncode == 0
    assert seen > 3


def test_without_a_name_the_folder_bears_time_and_scan(
    scan: Path, tmp_path: Path, numba_cache: str
) -> None:
    process_list = make_list(tmp_path / "l.nxs", QUICK)
    process = start(numba_cache, scan, process_list, tmp_path / "results")
    process.communicate(timeout=60)
    (folder,) = (tmp_path / "results").iterdir()
    assert re.fullmatch(r"\d{14}_small_00001", folder.name)


@pytest.mark.parametrize("name", ["../up", "a/b", ".."])
def test_the_name_of_the_folder_is_not_a_path(
    scan: Path, tmp_path: Path, numba_cache: str, name: str
) -> None:
    process = start(numba_cache, scan, make_list(tmp_path / "l.nxs"), tmp_path, "-f", name)
    process.communicate(timeout=60)
    assert process.returncode == 2


def check(path: Path, cache: str) -> dict[str, Any]:
    process = start(cache, "check", path)
    stdout, _ = process.communicate(timeout=60)
    answer: dict[str, Any] = json.loads(stdout)
    assert process.returncode == (0 if answer["runs"] else 1)
    return answer


def test_a_list_is_checked_without_running_it(tmp_path: Path, numba_cache: str) -> None:
    assert check(make_list(tmp_path / "good.nxs"), numba_cache) == {"runs": True, "problems": []}
    bad = tmp_path / "bad.nxs"
    tomopy = Step("1", "TomopyRecon", "savu.plugins.reconstructions.tomopy_recon", True, {})
    write(bad, ProcessList((tomopy,)), overwrite=False)
    answer = check(bad, numba_cache)
    assert {"position": "1", "plugin": "TomopyRecon"}.items() <= answer["problems"][0].items()
    absent = check(tmp_path / "absent.nxs", numba_cache)
    assert "No such file" in absent["problems"][0]["message"]


# -- Memory ---------------------------------------------------------------------------------------


def peak_memory(cache: str, scan: Path, folder: Path) -> int:
    """Most memory that a run's processes held, in bytes."""
    process_list = make_list(folder / "l.nxs", QUICK)
    # Not ru_maxrss: that counts what this process held before the other program was loaded.
    code = (
        "import os, re, sys; from pathlib import Path;"
        "os.sched_setaffinity(0, {min(os.sched_getaffinity(0))});"
        "from savu_builtin.__main__ import main; code = main(sys.argv[1:]);"
        "print(re.search(r'VmHWM:\\s+(\\d+)', Path('/proc/self/status').read_text())[1]);"
        "sys.exit(code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, scan, process_list, folder, "-f", "out"],
        env={
            **os.environ,
            "NUMBA_CACHE_DIR": cache,
            "SAVU_BUILTIN_BLOCK_BYTES": str(2 * 2**20),
        },
        capture_output=True,
        text=True,
        check=True,
    )
    return int(done.stdout) * 1024


def test_memory_does_not_grow_with_the_scan(tmp_path: Path, numba_cache: str) -> None:
    peaks, sizes = [], []
    for rows in (16, 256):
        folder = tmp_path / str(rows)
        folder.mkdir()
        scan = make_scan(folder, rows=rows, bodies=bodies(40.0, rows / 2), projections=181)
        peaks.append(peak_memory(numba_cache, scan, folder))
        sizes.append(4 * 181 * rows * 96)
    assert sizes[1] - sizes[0] > 15 * 2**20
    assert peaks[1] - peaks[0] < 6 * 2**20, [peak / 2**20 for peak in peaks]


# -- The demo's data ------------------------------------------------------------------------------


def test_the_demos_data_are_made_once_and_kept_as_they_were_changed(tmp_path: Path) -> None:
    root = tmp_path / "data"
    assert generate(root)
    lists = [root / visit / "processing/process_lists/sample.nxs" for visit in VISITS]
    for path in lists:
        assert read(path).steps[0].name == "NxtomoLoader"
    write(lists[0], ProcessList(read(lists[0]).steps[:2]), overwrite=True)
    assert not generate(root)
    assert len(read(lists[0]).steps) == 2


def test_an_interrupted_generation_is_done_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full_disk(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("savu_builtin.sample.write", full_disk)
        with pytest.raises(OSError, match="No space"):
            generate(tmp_path)
    assert generate(tmp_path)
    assert not list(tmp_path.rglob("*.part"))


@pytest.mark.parametrize("visit", VISITS)
def test_the_demos_list_reconstructs_the_demos_scans(
    run_list: Runner, tmp_path: Path, visit: str
) -> None:
    generate(tmp_path / "data")
    scan = VISITS[visit]
    first, *others = read(tmp_path / "data" / visit / "processing/process_lists/sample.nxs").steps
    middle = {**first.parameters, "preview": [":", "mid-1:mid+2", ":"]}
    process_list = tmp_path / "few.nxs"
    few = ProcessList((dataclasses.replace(first, parameters=middle), *others))
    write(process_list, few, overwrite=False)
    done = run_list(tmp_path / "data" / visit / f"raw/{scan.name}.nxs", process_list)
    assert done.code == 0, done.stderr
    with done.result() as file:
        final = file["entry/final_result_tomo"]
        centre = final["meta_data/centre_of_rotation/centre_of_rotation"][0]
        assert abs(centre - scan.centre) <= 0.5
        rows = final["voxel_y"]
        truth = phantom(scan, slice(int(rows[0]), int(rows[-1]) + 1))
        # Measured: 0.97 and 0.98.
        for row in range(3):
            assert correlation(final["data"][:, row], truth[:, row]) > 0.95


@pytest.mark.parametrize("visit", VISITS)
def test_the_demos_scans_are_as_a_detector_leaves_them(tmp_path: Path, visit: str) -> None:
    generate(tmp_path)
    scan: Scan = VISITS[visit]
    with h5py.File(tmp_path / visit / "raw" / f"{scan.name}.nxs") as file:
        entry = file[file.attrs["default"]]
        entry = entry[entry.attrs["default"]]
        assert entry["definition"].asstr()[()] == "NXtomo"
        group = entry[entry.attrs["default"]]
        assert isinstance(group.get("data", getlink=True), h5py.ExternalLink)
        data = group[group.attrs["signal"]]
        assert data.dtype == np.uint16
        assert data.chunks == (1, scan.rows, scan.columns)
        assert data._filters.keys() == {"32008"}  # bitshuffle
        key = entry["instrument/detector/image_key"][()]
        assert data.shape[0] == key.size == group["rotation_angle"].size
        assert (key == 0).sum() == scan.projections
        assert {1, 2} <= set(key[:20]) & set(key[-20:])
        for index, column in enumerate(scan.dead):
            assert (data[::40, :, column] == 65535 * (index % 2)).all()
    assert abs(scan.centre - (scan.columns - 1) / 2) > 3


def test_the_demos_folders_belong_to_the_visits_group(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give folders away")
    generate(tmp_path, {"cm10001-1": 31001, "cm10002-1": 31002})
    for visit, gid in (("cm10001-1", 31001), ("cm10002-1", 31002)):
        for folder, mode in (("", 0o2750), ("raw", 0o2750), ("processing", 0o2770)):
            status = (tmp_path / visit / folder).stat()
            assert (status.st_gid, status.st_mode & 0o7777) == (gid, mode), folder
        (scan,) = (tmp_path / visit / "raw").glob("*.nxs")
        assert (scan.stat().st_gid, scan.stat().st_mode & 0o777) == (gid, 0o640)
