"""Folders, files and finding over HTTP: paged, bounded, and never outside the data."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import h5py
import httpx
import pytest
from savu_api import finding
from savu_api.kinds import Looker, is_data_name
from savu_api.paths import DataRoots
from savu_format import process_list as format_
from savu_format.process_list import ProcessList

from tests.support.api import Api, assert_problem


def listed(api: httpx.Client, path: Path, **query: Any) -> dict[str, Any]:
    response = api.get("/files", params={"path": str(path), **query})
    assert response.status_code == 200, response.text
    answer: dict[str, Any] = response.json()
    return answer


def hdf5(path: Path) -> Path:
    with h5py.File(path, "w") as file:
        file["entry/data"] = [1, 2, 3]
    return path


def test_folders_come_first_then_names(api: httpx.Client, data: Path) -> None:
    for name in ("b", "A"):
        (data / name).mkdir()
    for name in ("z.txt", "Y.log", ".hidden"):
        (data / name).write_text("x")
    answer = listed(api, data)
    assert [entry["name"] for entry in answer["entries"]] == ["A", "b", "Y.log", "z.txt"]
    assert (answer["path"], answer["parent"]) == (str(data), str(data.parent))
    assert (answer["total"], answer["offset"], answer["truncated"]) == (4, 0, False)
    assert answer["writable"] is True


def test_an_entry_says_what_it_is(api: httpx.Client, data: Path) -> None:
    hdf5(data / "scan.nxs")
    hdf5(data / "frames.h5")
    format_.write(data / "list.nxs", ProcessList(()), overwrite=False)
    (data / "broken.nxs").write_bytes(b"cut short")
    (data / "notes.txt").write_text("twelve bytes")
    os.utime(data / "notes.txt", (1_750_000_000, 1_750_000_000))
    entries = {entry["name"]: entry for entry in listed(api, data)["entries"]}
    assert {name: entry["type"] for name, entry in entries.items()} == {
        "scan.nxs": "data",
        "frames.h5": "data",
        "list.nxs": "process_list",
        "broken.nxs": "data",
        "notes.txt": "file",
    }
    assert entries["notes.txt"] == {
        "name": "notes.txt",
        "path": str(data / "notes.txt"),
        "type": "file",
        "size": 12,
        "mtime": "2025-06-15T15:06:40Z",
        "readable": True,
        "writable": True,
    }


def test_a_changed_file_is_looked_into_again(api: httpx.Client, data: Path) -> None:
    hdf5(data / "file.nxs")
    assert listed(api, data)["entries"][0]["type"] == "data"
    format_.write(data / "file.nxs", ProcessList(()), overwrite=True)
    assert listed(api, data)["entries"][0]["type"] == "process_list"


def test_a_large_folder_comes_in_pages_that_join(api: httpx.Client, data: Path) -> None:
    for number in range(2500):
        (data / f"{number:05}.tif").touch()
    old = time.time() - 60
    os.utime(data, (old, old))
    pages = [listed(api, data, offset=offset, limit=1000) for offset in (0, 1000, 2000)]
    names = [entry["name"] for page in pages for entry in page["entries"]]
    assert names == [f"{number:05}.tif" for number in range(2500)]
    assert {page["total"] for page in pages} == {2500}
    assert listed(api, data, offset=9999)["entries"] == []
    (data / "00000a.tif").touch()
    assert listed(api, data, limit=2)["entries"][1]["name"] == "00000a.tif"


@pytest.mark.parametrize("query", [{"offset": -1}, {"limit": 0}, {"limit": 10**9}, {"limit": "x"}])
def test_a_wrong_page_is_refused(api: httpx.Client, data: Path, query: dict[str, Any]) -> None:
    answer = api.get("/files", params={"path": str(data), **query})
    assert_problem(answer, 400, "invalid-request")


def test_the_top_of_the_data_has_no_parent(api_service: tuple[Api, Path]) -> None:
    api, top = api_service
    assert listed(api.client, top)["parent"] is None


def test_links_are_shown_and_those_out_of_the_data_are_not_readable(
    api: httpx.Client, data: Path, tmp_path: Path
) -> None:
    (data / "folder").mkdir()
    (data / "in").symlink_to("folder")
    (data / "out").symlink_to(tmp_path)
    (data / "gone").symlink_to("nothing")
    (data / "loop").symlink_to("loop")
    entries = {entry["name"]: entry for entry in listed(api, data)["entries"]}
    assert (entries["in"]["type"], entries["in"]["readable"]) == ("folder", True)
    assert (entries["out"]["readable"], entries["out"]["writable"]) == (False, False)
    assert (entries["gone"]["type"], entries["gone"]["readable"]) == ("file", False)
    assert entries["loop"]["readable"] is False


def test_a_name_that_is_not_utf_8_is_shown_and_breaks_nothing(
    api: httpx.Client, data: Path
) -> None:
    Path(os.fsdecode(os.fsencode(data) + b"/bad\xff.nxs")).write_text("x")
    (entry,) = listed(api, data)["entries"]
    assert (entry["name"], entry["readable"]) == ("bad\ufffd.nxs", False)
    assert api.get("/data/find", params={"path": str(data)}).json()["files"] == []


@pytest.mark.parametrize("route", ["/files", "/files/content", "/data/find"])
@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/etc", 403, "outside-data-roots"),
        ("/etc/passwd", 403, "outside-data-roots"),
        ("{data}/../../../../../../../../etc/passwd", 403, "outside-data-roots"),
        ("/proc/self/environ", 403, "outside-data-roots"),
        ("etc", 400, "not-absolute"),
        ("", 400, "not-absolute"),
        ("{data}/\0", 400, "invalid-path"),
        ("/" + "a" * 10_000, 400, "name-too-long"),
        ("{data}/none", 404, "not-found"),
    ],
)
def test_a_path_that_is_not_in_the_data_is_refused(
    api: httpx.Client, data: Path, route: str, path: str, status: int, code: str
) -> None:
    answer = api.get(route, params={"path": path.replace("{data}", str(data))})
    assert_problem(answer, status, code)


def test_a_file_is_no_folder_and_a_folder_no_file(api: httpx.Client, data: Path) -> None:
    (data / "file").touch()
    assert_problem(api.get("/files", params={"path": f"{data}/file"}), 400, "not-a-folder")
    assert_problem(api.get("/files", params={"path": f"{data}/file/x"}), 404, "not-a-folder")
    assert_problem(api.get("/files/content", params={"path": str(data)}), 400, "not-a-file")
    os.mkfifo(data / "pipe")
    assert_problem(api.get("/files/content", params={"path": f"{data}/pipe"}), 400, "not-a-file")


# -- Downloads -------------------------------------------------------------------------------------

CONTENT = bytes(range(256)) * 9000


@pytest.fixture
def file(data: Path) -> Path:
    path = data / "résultat 1.h5"
    path.write_bytes(CONTENT)
    return path


def download(api: httpx.Client, path: Path, **headers: str) -> httpx.Response:
    return api.get("/files/content", params={"path": str(path)}, headers=headers)


def test_a_file_is_downloaded_whole_under_its_name(api: httpx.Client, file: Path) -> None:
    answer = download(api, file)
    assert answer.status_code == 200
    assert answer.content == CONTENT
    assert answer.headers["content-length"] == str(len(CONTENT))
    assert (
        answer.headers["content-disposition"] == "attachment; filename*=UTF-8''r%C3%A9sultat%201.h5"
    )
    assert answer.headers["content-type"] == "application/octet-stream"


@pytest.mark.parametrize(
    ("asked", "start", "stop"),
    [
        ("bytes=0-99", 0, 100),
        ("bytes=2000000-", 2_000_000, len(CONTENT)),
        ("bytes=-10", len(CONTENT) - 10, len(CONTENT)),
        ("bytes=100-99999999", 100, len(CONTENT)),
    ],
)
def test_a_range_is_answered_alone(
    api: httpx.Client, file: Path, asked: str, start: int, stop: int
) -> None:
    answer = download(api, file, Range=asked)
    assert answer.status_code == 206
    assert answer.content == CONTENT[start:stop]
    assert answer.headers["content-range"] == f"bytes {start}-{stop - 1}/{len(CONTENT)}"


@pytest.mark.parametrize("asked", ["bytes=99999999-", "bytes=-0"])
def test_a_range_beyond_the_file_is_416(api: httpx.Client, file: Path, asked: str) -> None:
    answer = download(api, file, Range=asked)
    assert_problem(answer, 416, "no-such-range")
    assert answer.headers["content-range"] == f"bytes */{len(CONTENT)}"


@pytest.mark.parametrize("asked", ["lines=1-2", "bytes=5-2", "bytes=1-2,5-6", "bytes=-", "x"])
def test_other_ranges_get_the_whole_file(api: httpx.Client, file: Path, asked: str) -> None:
    assert download(api, file, Range=asked).content == CONTENT


def test_a_range_of_a_file_that_changed_gets_the_whole_file(api: httpx.Client, file: Path) -> None:
    etag = download(api, file).headers["etag"]
    resumed = {"Range": "bytes=5-6", "If-Range": etag}
    assert download(api, file, **resumed).status_code == 206
    file.write_bytes(b"new")
    assert download(api, file, **resumed).content == b"new"


def test_downloads_that_are_given_up_leave_no_open_files(
    api_service: tuple[Api, Path], file: Path
) -> None:
    api = api_service[0]
    folder = Path(f"/proc/{api.process.pid}/fd")

    def held() -> list[Path]:
        links = []
        for entry in folder.iterdir():
            try:
                links.append(entry.readlink())
            except FileNotFoundError:
                continue
        return [link for link in links if link == file]

    with file.open("ab") as stream:
        stream.truncate(200_000_000)
    for _ in range(3):
        transport = httpx.HTTPTransport(uds=str(api.run / "api.sock"))
        with (
            httpx.Client(transport=transport, base_url="http://api") as client,
            client.stream("GET", "/files/content", params={"path": str(file)}) as answer,
        ):
            next(answer.iter_raw())
    deadline = time.monotonic() + 10
    while held() and time.monotonic() < deadline:
        api.client.get("/internal/health")
        time.sleep(0.05)
    assert held() == []


# -- Finding ---------------------------------------------------------------------------------------


def test_hdf5_files_are_found_at_any_depth(api: httpx.Client, data: Path) -> None:
    (data / "a" / "b" / "c").mkdir(parents=True)
    (data / ".hidden").mkdir()
    expected = [
        hdf5(data / "a" / "b" / "c" / "deep.hdf5"),
        hdf5(data / "a" / "scan.nxs"),
        hdf5(data / "top.h5"),
    ]
    hdf5(data / ".hidden" / "scan.nxs")
    hdf5(data / "named.txt")
    (data / "broken.nxs").write_bytes(b"cut short")
    (data / "loop").symlink_to(data)
    answer = api.get("/data/find", params={"path": str(data)}).json()
    assert answer == {"path": str(data), "files": sorted(map(str, expected)), "truncated": False}


def test_a_find_that_is_cut_short_says_so(api: httpx.Client, data: Path) -> None:
    deep = data.joinpath(*"abcdefghijkl")
    deep.mkdir(parents=True)
    hdf5(deep / "scan.nxs")
    hdf5(data / "scan.nxs")
    answer = api.get("/data/find", params={"path": str(data)}).json()
    assert answer["truncated"] is True
    assert answer["files"] == [str(data / "scan.nxs")]


@pytest.mark.parametrize(
    "bounds",
    [
        finding.Bounds(results=2),
        finding.Bounds(entries=3),
        finding.Bounds(seconds=0),
        finding.Bounds(depth=0),
    ],
    ids=["results", "entries", "time", "depth"],
)
def test_every_bound_of_a_find_cuts_it_short(tmp_path: Path, bounds: finding.Bounds) -> None:
    (tmp_path / "folder").mkdir()
    for number in range(6):
        hdf5(tmp_path / f"{number}.nxs")
    roots = DataRoots((tmp_path,))
    looker = Looker(roots)
    found = finding.find(
        roots, tmp_path, lambda path, _: looker.is_hdf5(path), is_data_name, bounds
    )
    assert found.truncated
    whole = finding.find(roots, tmp_path, lambda path, _: looker.is_hdf5(path), is_data_name)
    assert not whole.truncated
    assert len(whole.files) == 6
