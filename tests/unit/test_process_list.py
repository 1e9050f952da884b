"""Process lists as files: read from what Savu writes, written so that Savu reads them."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from savu_api.apart import LookFailed, apart
from savu_format import process_list as format_
from savu_format import whole_file
from savu_format.process_list import Iteration, NotAProcessList, ProcessList, Step

LOADER = Step(
    position="1",
    name="NxtomoLoader",
    id="savu.plugins.loaders.full_field_loaders.nxtomo_loader",
    active=True,
    parameters={"preview": [], "dark": [None, None, 1.0], "3d_to_4d": False, "angles": None},
)
RECON = Step(
    position="2",
    name="AstraReconCpu",
    id="savu.plugins.reconstructions.astra_recons.astra_recon_cpu",
    active=False,
    parameters={"algorithm": "FBP", "centre_of_rotation": "80;80.5;81"},
    citations=({"description": "d", "doi": "10.1/x", "endnote": "", "bibtex": "@a{é}"},),
)
LIST = ProcessList((LOADER, RECON), iterations=(Iteration(2, 2, 5),))


def names(folder: Path) -> list[str]:
    """What is in a folder, hidden files too."""
    return sorted(entry.name for entry in folder.iterdir())


def savu_file(path: Path, change: Callable[[h5py.File], Any] = lambda file: None) -> Path:
    """A file as Savu 4.2 lays it out, made without this project's writer."""
    with h5py.File(path, "w") as file:
        for number, (name, data, active) in enumerate(
            [("NxtomoLoader", '{"preview":  []}', True), ("Dezinger", '{"size": 5}', False)], 1
        ):
            group = file.create_group(f"entry/plugin/{number}")
            group.attrs["NX_class"] = b"NXnote"
            group["name"] = np.array([name.encode()])
            group["id"] = np.array([f"savu.plugins.{name.lower()}".encode()])
            group["data"] = np.array([data.encode()])
            group["active"] = np.array([active])
        file["entry/savu_notes/version"] = "4.2"
        change(file)
    return path


def test_what_was_written_is_read_back(tmp_path: Path) -> None:
    path = tmp_path / "list.nxs"
    format_.write(path, LIST, overwrite=False)
    assert format_.read(path) == LIST


def test_the_file_is_laid_out_as_savu_reads_it(tmp_path: Path) -> None:
    path = tmp_path / "list.nxs"
    format_.write(path, LIST, overwrite=False)
    with h5py.File(path) as file:
        assert sorted(file["entry/plugin"]) == ["1", "2"]
        group = file["entry/plugin/2"]
        # The very expressions of Savu's reader.
        assert group["name"][0].decode("utf-8") == "AstraReconCpu"
        assert group["id"][0].decode("utf-8") == RECON.id
        assert group["active"][0] == False  # noqa: E712
        assert group["active"].dtype == bool
        assert group["data"][0] == b'{"algorithm": "FBP", "centre_of_rotation": "80;80.5;81"}'
        assert group["citation1/doi"][0] == b"10.1/x"
        assert float(file["entry/savu_notes/version"][()]) == 4.2
        assert file["entry/iterate_plugin_groups/0/iterations"][()] == 5
        assert file["entry/plugin"].attrs["NX_class"] == "NXprocess"


def test_a_list_written_by_savu_is_read(tmp_path: Path) -> None:
    read = format_.read(savu_file(tmp_path / "list.nxs"))
    assert [(s.position, s.name, s.active, s.parameters) for s in read.steps] == [
        ("1", "NxtomoLoader", True, {"preview": []}),
        ("2", "Dezinger", False, {"size": 5}),
    ]
    assert read.version == "4.2"


def test_unchanged_parameters_are_written_byte_for_byte(tmp_path: Path) -> None:
    read = format_.read(savu_file(tmp_path / "list.nxs"))
    again = format_.parse(format_.serialize(read))
    assert again.steps[0].text == '{"preview":  []}'


def test_positions_of_old_lists_are_padded_and_sorted_by_number_then_letter(
    tmp_path: Path,
) -> None:
    def rename(file: h5py.File) -> None:
        plugins = file["entry/plugin"]
        plugins.copy("1", "  10 ")
        plugins.copy("1", " 2a ")
        del file["entry/savu_notes"]

    read = format_.read(savu_file(tmp_path / "list.nxs", rename))
    assert [step.position for step in read.steps] == ["1", "2", "2a", "10"]
    assert read.version == "0"


@pytest.mark.parametrize(
    "content",
    [b"", b"no HDF5 at all", b"\x89HDF\r\n\x1a\n", b"\x89HDF\r\n\x1a\n" + bytes(4000)],
    ids=["empty", "text", "signature only", "zeros"],
)
def test_what_is_no_hdf5_is_refused_in_words(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "list.nxs"
    path.write_bytes(content)
    with pytest.raises(NotAProcessList, match="The file is"):
        format_.read(path)


@settings(deadline=None)  # HDF5 comes to no end with some of them: they are looked at apart
@given(st.data())
def test_a_damaged_file_is_refused_or_read_and_never_anything_else(data: st.DataObject) -> None:
    content = bytearray(format_.serialize(LIST))
    for at in data.draw(st.lists(st.integers(0, len(content) - 1), min_size=1, max_size=30)):
        content[at] = data.draw(st.integers(0, 255))
    with contextlib.suppress(NotAProcessList, LookFailed):
        apart(format_.parse, bytes(content))


@pytest.mark.parametrize("part", [0.1, 0.5, 0.9, 0.99])
def test_a_half_written_file_is_refused(part: float) -> None:
    content = format_.serialize(LIST)
    with pytest.raises(NotAProcessList):
        format_.parse(content[: int(len(content) * part)])


def _without(name: str) -> Callable[[h5py.File], None]:
    def change(file: h5py.File) -> None:
        del file[name]

    return change


def _instead(name: str, value: Any) -> Callable[[h5py.File], None]:
    def change(file: h5py.File) -> None:
        del file[name]
        file[name] = value

    return change


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (_without("entry"), "/entry/plugin is missing"),
        (_without("entry/plugin/1/name"), "Step 1 has no 'name'"),
        (_without("entry/plugin/2/data"), "Step 2 has no 'data'"),
        (_instead("entry/plugin/1/data", np.array([b"{"])), "step 1 are not JSON"),
        (_instead("entry/plugin/1/data", np.array([b"[]"])), "not a JSON object"),
        (_instead("entry/plugin/1/data", np.array([b"[" * 100_000])), "not JSON"),
        (_instead("entry/plugin/1/data", np.array([[b"{}"]])), "is not stored as"),
        (_instead("entry/plugin/1/data", h5py.ExternalLink("/etc/x.h5", "/a")), "not stored as"),
        (_instead("entry/plugin/1", h5py.SoftLink("/entry/plugin/2")), "Step 1 is not a group"),
        (_instead("entry/plugin", h5py.ExternalLink("/tmp/x.h5", "/a")), "plugin is missing"),
        (lambda file: file.create_group("entry/plugin/eval"), "steps are numbered"),
    ],
)
def test_a_file_that_is_no_list_is_refused_saying_where(
    tmp_path: Path, change: Callable[[h5py.File], None], sentence: str
) -> None:
    with pytest.raises(NotAProcessList, match=sentence):
        format_.read(savu_file(tmp_path / "list.nxs", change))


def test_raw_data_stored_in_another_file_is_not_read(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(b'{"a":1}')

    def change(file: h5py.File) -> None:
        del file["entry/plugin/1/data"]
        file["entry/plugin/1"].create_dataset(
            "data", (1,), dtype="S7", external=[(str(secret), 0, 7)]
        )

    with pytest.raises(NotAProcessList, match="not stored as"):
        format_.read(savu_file(tmp_path / "list.nxs", change))


def test_a_result_of_savu_is_no_process_list_though_it_holds_one(tmp_path: Path) -> None:
    plain = savu_file(tmp_path / "list.nxs")
    result = savu_file(
        tmp_path / "result.nxs", lambda file: file.create_group("entry/final_result_tomo")
    )
    assert format_.holds_process_list(plain.read_bytes())
    assert not format_.holds_process_list(result.read_bytes())
    assert len(format_.read(result).steps) == 2


def test_a_file_larger_than_any_list_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(format_, "MAX_FILE_BYTES", 1000)
    with pytest.raises(NotAProcessList, match="larger than"):
        format_.read(savu_file(tmp_path / "list.nxs"))


def test_two_steps_of_one_position_are_not_written() -> None:
    with pytest.raises(ValueError, match="same position"):
        format_.serialize(ProcessList((LOADER, LOADER)))


def test_lists_are_serialized_by_several_threads_at_once() -> None:
    with ThreadPoolExecutor(8) as pool:
        contents = list(pool.map(format_.serialize, [LIST] * 64))
    assert all(format_.parse(content) == LIST for content in contents)


# -- Whole or not at all ---------------------------------------------------------------------------


def test_a_new_file_never_overwrites(tmp_path: Path) -> None:
    path = tmp_path / "list.nxs"
    path.write_bytes(b"somebody's")
    with pytest.raises(FileExistsError):
        format_.write(path, LIST, overwrite=False)
    assert path.read_bytes() == b"somebody's"
    assert names(tmp_path) == ["list.nxs"]


def test_a_dangling_link_is_not_written_through(tmp_path: Path) -> None:
    (tmp_path / "list.nxs").symlink_to("elsewhere.nxs")
    with pytest.raises(FileExistsError):
        format_.write(tmp_path / "list.nxs", LIST, overwrite=False)
    assert names(tmp_path) == ["list.nxs"]


@pytest.mark.parametrize(("umask", "mode"), [(0o002, 0o664), (0o022, 0o644), (0o077, 0o600)])
@pytest.mark.parametrize("overwrite", [False, True])
def test_the_mode_is_what_the_umask_leaves(
    tmp_path: Path, umask: int, mode: int, overwrite: bool
) -> None:
    before = os.umask(umask)
    try:
        format_.write(tmp_path / "list.nxs", LIST, overwrite=overwrite)
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "list.nxs").stat().st_mode) == mode


def test_a_private_file_stays_private_when_replaced(tmp_path: Path) -> None:
    path = tmp_path / "list.nxs"
    before = os.umask(0o002)
    try:
        format_.write(path, LIST, overwrite=False)
        path.chmod(0o600)
        format_.write(path, LIST, overwrite=True)
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "list.nxs"
    path.write_bytes(b"old")

    def full(descriptor: int, content: bytes) -> None:
        os.write(descriptor, content[:10])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(whole_file, "_write_all", full)
    with pytest.raises(OSError, match="No space"):
        format_.write(path, LIST, overwrite=True)
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["list.nxs"]


def test_a_file_system_without_hard_links_does_not_overwrite_either(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    path = tmp_path / "list.nxs"
    format_.write(path, LIST, overwrite=False)
    assert format_.read(path) == LIST
    with pytest.raises(FileExistsError):
        format_.write(path, ProcessList(()), overwrite=False)
    assert format_.read(path) == LIST
    assert names(tmp_path) == ["list.nxs"]


def test_a_name_of_255_bytes_can_be_written(tmp_path: Path) -> None:
    path = tmp_path / ("a" * 251 + ".nxs")
    format_.write(path, LIST, overwrite=False)
    assert format_.read(path) == LIST
