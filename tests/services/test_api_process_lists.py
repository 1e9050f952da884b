"""Process lists over HTTP: hebi's shapes, Savu's files, nothing lost and nothing evaluated."""

from __future__ import annotations

import contextlib
import os
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import h5py
import httpx
import pytest
from savu_format import process_list as format_
from savu_format.process_list import ProcessList, Step

from tests.support.api import assert_problem, savu_variables, serve
from tests.support.catalogue import CITATION, write_catalogue
from tests.support.endless_list import ENDLESS
from tests.support.needs import needs_program, needs_root

RECON_ID = "savu.plugins.reconstructions.astra_recons.astra_recon_cpu"
LIST: dict[str, Any] = {
    "plugins": [
        {"name": "NxtomoLoader", "active": True, "parameters": []},
        {
            "name": "AstraReconCpu",
            "active": True,
            "parameters": [{"name": "centre_of_rotation", "value": "60;62;64"}],
        },
    ]
}
DEZINGER = Step(
    "2", "Dezinger", "savu.plugins.filters.dezinger", True, {"mode": 1}, text='{"mode":1}'
)


def create(api: httpx.Client, path: Path, body: Any = LIST) -> httpx.Response:
    return api.post("/process_list", params={"filename": str(path)}, json=body)


def read(api: httpx.Client, path: Path) -> httpx.Response:
    return api.get("/process_list", params={"filename": str(path)})


def replace(api: httpx.Client, path: Path, body: Any = LIST, etag: str = "") -> httpx.Response:
    headers = {"If-Match": etag} if etag else {}
    return api.put("/process_list", params={"filename": str(path)}, json=body, headers=headers)


def hidden(folder: Path) -> list[str]:
    """What a write may have left behind."""
    return [entry.name for entry in folder.iterdir() if entry.name.startswith(".")]


# -- hebi's contract ------------------------------------------------------------------------------


def test_a_created_list_is_answered_in_hebis_shape(api: httpx.Client, data: Path) -> None:
    response = create(api, data / "new.nxs")
    assert response.status_code == 201
    assert response.headers["etag"]
    answer = response.json()
    assert answer["filename"] == str(data / "new.nxs")
    recon = answer["plugins"][1]
    assert {key: recon[key] for key in ("name", "pos", "id", "active", "known")} == {
        "name": "AstraReconCpu",
        "pos": "2",
        "id": RECON_ID,
        "active": True,
        "known": True,
    }
    assert recon["citations"] == [CITATION]
    assert recon["parameters"][0] == {
        "name": "algorithm",
        "value": "FBP",
        "type": "str",
        "description": {"summary": "What algorithm is"},
        "visibility": "basic",
        "options": [["FBP", "Filtered Backprojection Method"], ["SIRT", "Iterative"]],
        "default": "FBP",
        "dependency": None,
    }
    values = {item["name"]: item["value"] for item in recon["parameters"]}
    assert values["centre_of_rotation"] == "60;62;64"
    assert answer["engines"] == [{"name": "savu", "runs": True, "lacks": [], "elsewhere": []}]


def test_the_file_holds_complete_typed_parameters(api: httpx.Client, data: Path) -> None:
    create(api, data / "new.nxs")
    loader, recon = format_.read(data / "new.nxs").steps
    assert loader.parameters["dark"] == [None, None, 1.0]
    assert list(recon.parameters) == [
        "algorithm",
        "n_iterations",
        "centre_of_rotation",
        "in_datasets",
    ]
    assert recon.citations[0]["doi"] == CITATION["doi"]


def test_reading_gives_what_creating_gave(api: httpx.Client, data: Path) -> None:
    created = create(api, data / "new.nxs")
    response = read(api, data / "new.nxs")
    assert response.status_code == 200
    assert response.json() == created.json()
    assert response.headers["etag"] == created.headers["etag"]


def test_what_was_read_can_be_sent_back_as_it_is(api: httpx.Client, data: Path) -> None:
    create(api, data / "new.nxs")
    before = (data / "new.nxs").read_bytes()
    answer = replace(api, data / "new.nxs", read(api, data / "new.nxs").json())
    assert answer.status_code == 200
    assert format_.parse((data / "new.nxs").read_bytes()) == format_.parse(before)


def test_creating_never_overwrites(api: httpx.Client, data: Path) -> None:
    create(api, data / "new.nxs")
    before = (data / "new.nxs").read_bytes()
    assert_problem(create(api, data / "new.nxs", {"plugins": []}), 409, "exists")
    assert (data / "new.nxs").read_bytes() == before
    assert hidden(data) == []


def test_of_two_creations_at_once_one_succeeds(api: httpx.Client, data: Path) -> None:
    statuses: list[int] = []
    barrier = threading.Barrier(4)

    def attempt() -> None:
        barrier.wait()
        statuses.append(create(api, data / "same.nxs").status_code)

    threads = [threading.Thread(target=attempt) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(statuses) == [201, 409, 409, 409]


def test_replacing_changes_only_what_is_asked(api: httpx.Client, data: Path) -> None:
    create(api, data / "new.nxs")
    body = read(api, data / "new.nxs").json()
    body["plugins"][1]["parameters"][0]["value"] = "SIRT"
    body["plugins"][0]["active"] = False
    answer = replace(api, data / "new.nxs", body)
    assert answer.status_code == 200
    loader, recon = format_.read(data / "new.nxs").steps
    assert not loader.active
    assert recon.parameters["algorithm"] == "SIRT"
    assert recon.parameters["centre_of_rotation"] == "60;62;64"


def test_replacing_what_is_not_there_is_404(api: httpx.Client, data: Path) -> None:
    assert_problem(replace(api, data / "none.nxs"), 404, "not-found")
    assert not (data / "none.nxs").exists()


def test_replacing_needs_the_list_that_was_read(api: httpx.Client, data: Path) -> None:
    path = data / "new.nxs"
    first = create(api, path).headers["etag"]
    second = replace(api, path, {"plugins": LIST["plugins"][:1]}, first).headers["etag"]
    assert second != first
    problem = assert_problem(replace(api, path, LIST, first), 412, "changed")
    assert problem["etag"] == second
    assert len(format_.read(path).steps) == 1
    assert replace(api, path, LIST, second).status_code == 200


def test_of_two_tabs_that_save_at_once_one_is_told(api: httpx.Client, data: Path) -> None:
    etag = create(api, data / "new.nxs").headers["etag"]
    statuses: list[int] = []
    barrier = threading.Barrier(4)

    def save(number: int) -> None:
        body = {"plugins": [{**LIST["plugins"][0], "active": bool(number % 2)}] * (number + 1)}
        barrier.wait()
        statuses.append(replace(api, data / "new.nxs", body, etag).status_code)

    threads = [threading.Thread(target=save, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(statuses) == [200, 412, 412, 412]


def test_deleting_answers_the_name(api: httpx.Client, data: Path) -> None:
    create(api, data / "new.nxs")
    params = {"filename": str(data / "new.nxs")}
    answer = api.delete("/process_list", params=params)
    assert (answer.status_code, answer.json()) == (200, params)
    assert not (data / "new.nxs").exists()
    assert_problem(api.delete("/process_list", params=params), 404, "not-found")


def test_a_download_is_the_file(api: httpx.Client, data: Path) -> None:
    create(api, data / "new.nxs")
    answer = api.get("/process_list/download", params={"filename": str(data / "new.nxs")})
    assert answer.content == (data / "new.nxs").read_bytes()
    assert answer.headers["content-disposition"] == "attachment; filename*=UTF-8''new.nxs"


def test_lists_are_found_and_scans_and_results_are_not(api: httpx.Client, data: Path) -> None:
    (data / "a" / "b").mkdir(parents=True)
    create(api, data / "a" / "b" / "new.nxs")
    (data / "a" / "scan.nxs").write_bytes(b"no list")
    (data / "a" / "list.txt").write_bytes((data / "a" / "b" / "new.nxs").read_bytes())
    answer = api.get("/process_list", params={"path": str(data)})
    assert answer.json() == {
        "path": str(data),
        "files": [str(data / "a" / "b" / "new.nxs")],
        "truncated": False,
    }


def test_neither_filename_nor_path_is_400(api: httpx.Client) -> None:
    assert_problem(api.get("/process_list"), 400, "invalid-request")


# -- Checks ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"{}",
        b'{"plugins": 5}',
        b'{"plugins": [{"active": true}]}',
        b'{"plugins": [{"name": "NxtomoLoader", "active": "perhaps"}]}',
        b'{"plugins": [{"name": "NxtomoLoader", "parameters": {"a": 1}}]}',
        b'{"plugins": ' + b"[" * 100_000,
        b"\xff\xfe",
    ],
    ids=lambda body: ascii(body[:40]),
)
def test_a_wrong_body_is_400_and_writes_nothing(api: httpx.Client, data: Path, body: bytes) -> None:
    answer = api.post(
        "/process_list",
        params={"filename": str(data / "new.nxs")},
        content=body,
        headers={"Content-Type": "application/json"},
    )
    assert_problem(answer, 400, "invalid-request")
    assert list(data.iterdir()) == []


def test_a_wrong_value_is_400_naming_step_and_parameter(api: httpx.Client, data: Path) -> None:
    body = {
        "plugins": [
            {"name": "AstraReconCpu", "parameters": [{"name": "n_iterations", "value": "many"}]}
        ]
    }
    problem = assert_problem(create(api, data / "new.nxs", body), 400, "invalid-process-list")
    assert problem["errors"] == [
        {
            "pos": "1",
            "plugin": "AstraReconCpu",
            "parameter": "n_iterations",
            "message": "n_iterations has to be a whole number, and 'many' is not.",
        }
    ]
    assert list(data.iterdir()) == []


def test_values_are_not_evaluated(api: httpx.Client, data: Path) -> None:
    mark = data / "evaluated"
    attack = f"__import__('pathlib').Path('{mark}').touch()"
    body = {
        "plugins": [
            {
                "name": "AstraReconCpu",
                "parameters": [{"name": "centre_of_rotation", "value": attack}],
            },
            {"name": "X", "id": "os", "parameters": [{"name": "value", "value": attack}]},
        ]
    }
    assert create(api, data / "new.nxs", body).status_code == 201
    read(api, data / "new.nxs")
    api.post("/process_list/check", json=body)
    assert not mark.exists()


def test_checking_writes_nothing_and_says_all_that_is_wrong(api: httpx.Client, data: Path) -> None:
    body = {
        "plugins": [
            {"name": "NxtomoLoader", "parameters": [{"name": "preview", "value": "[start:]"}]},
            {"name": "AstraReconCpu", "parameters": [{"name": "algorithm", "value": "MAGIC"}]},
            {"name": "Dezinger", "id": "savu.plugins.filters.dezinger"},
        ]
    }
    answer = api.post("/process_list/check", json=body)
    assert answer.status_code == 200
    checked = answer.json()
    assert [(error["pos"], error["parameter"]) for error in checked["errors"]] == [
        ("2", "algorithm")
    ]
    assert checked["plugins"][1]["parameters"][0]["value"] == "MAGIC"
    (engine,) = checked["engines"]
    assert not engine["runs"]
    assert ("3", "Dezinger") in [(lack["pos"], lack["name"]) for lack in engine["lacks"]]
    assert list(data.iterdir()) == []


def test_a_plugin_that_no_engine_has_is_kept_and_marked(api: httpx.Client, data: Path) -> None:
    path = data / "foreign.nxs"
    format_.write(path, ProcessList((DEZINGER,)), overwrite=False)
    body = read(api, path).json()
    assert not body["plugins"][0]["known"]
    assert body["engines"][0]["lacks"][0]["name"] == "Dezinger"
    body["plugins"].insert(0, {"name": "NxtomoLoader"})
    assert replace(api, path, body).status_code == 200
    kept = format_.read(path).steps[1]
    assert (kept.name, kept.id, kept.text) == ("Dezinger", DEZINGER.id, '{"mode":1}')


def test_a_body_larger_than_any_list_is_413(api: httpx.Client, data: Path) -> None:
    large = b'{"plugins": [' + b" " * 9_000_000 + b"]}"
    url = f"/process_list?filename={data}/new.nxs"
    assert_problem(api.post(url, content=large), 413, "body-too-large")

    def stream() -> Iterator[bytes]:
        for start in range(0, len(large), 65536):
            yield large[start : start + 65536]

    assert_problem(api.post(url, content=stream()), 413, "body-too-large")
    assert list(data.iterdir()) == []


# -- Files that are not what they should be -------------------------------------------------------


@pytest.mark.parametrize("part", [0.0, 0.3, 0.95])
def test_a_half_written_list_is_neither_opened_replaced_nor_deleted(
    api: httpx.Client, data: Path, part: float
) -> None:
    content = format_.serialize(ProcessList((DEZINGER,)))
    path = data / "half.nxs"
    path.write_bytes(content[: int(len(content) * part)])
    before = path.read_bytes()
    for answer in (
        read(api, path),
        replace(api, path),
        api.delete("/process_list", params={"filename": str(path)}),
        api.get("/process_list/download", params={"filename": str(path)}),
    ):
        assert_problem(answer, 422, "not-a-process-list")
    assert path.read_bytes() == before


def test_a_list_that_hdf5_comes_to_no_end_with_costs_only_itself(
    api: httpx.Client, data: Path
) -> None:
    create(api, data / "sound.nxs")
    (data / "endless.nxs").write_bytes(ENDLESS)
    answer = read(api, data / "endless.nxs")
    # An HDF5 library that copes with it may find the list in it.
    assert answer.status_code in (200, 422), answer.text
    if answer.status_code == 422:
        assert_problem(answer, 422, "not-a-process-list")
        assert_problem(replace(api, data / "endless.nxs"), 422, "not-a-process-list")
    assert read(api, data / "sound.nxs").status_code == 200
    found = api.get("/process_list", params={"path": str(data)}).json()["files"]
    assert str(data / "sound.nxs") in found


def test_a_list_with_names_that_are_no_text_breaks_neither_folder_nor_search(
    api: httpx.Client, data: Path
) -> None:
    create(api, data / "sound.nxs")
    with h5py.File(data / "odd.nxs", "w") as file:
        file.create_group("entry/plugin")
        h5py.h5g.create(file["entry"].id, b"\xff\xfe")
    listed = api.get("/files", params={"path": str(data)})
    assert listed.status_code == 200, listed.text
    found = api.get("/process_list", params={"path": str(data)})
    assert found.status_code == 200, found.text
    assert str(data / "sound.nxs") in found.json()["files"]
    assert read(api, data / "odd.nxs").status_code in (200, 422)


def test_a_result_is_opened_as_a_list_and_never_replaced_or_deleted(
    api: httpx.Client, data: Path
) -> None:
    import h5py

    path = data / "scan_processed.nxs"
    format_.write(path, ProcessList((DEZINGER,)), overwrite=False)
    with h5py.File(path, "r+") as file:
        file["entry/final_result_tomo/data"] = [1.0]
    assert read(api, path).status_code == 200
    assert_problem(replace(api, path), 422, "is-a-result")
    assert_problem(api.delete("/process_list", params={"filename": str(path)}), 422, "is-a-result")
    assert path.exists()


@pytest.mark.parametrize("name", ["list.txt", "list", ".nxs", ".hidden.nxs", "list.nxs.exe"])
def test_a_list_has_a_lists_name(api: httpx.Client, data: Path, name: str) -> None:
    assert_problem(create(api, data / name), 400, "invalid-name")


@pytest.mark.parametrize(
    ("filename", "status", "code"),
    [
        ("/etc/list.nxs", 403, "outside-data-roots"),
        ("{data}/../../../../../../etc/list.nxs", 403, "outside-data-roots"),
        ("list.nxs", 400, "not-absolute"),
        ("", 400, "not-absolute"),
        ("{data}/" + "a" * 10_000 + ".nxs", 400, "name-too-long"),
        ("{data}/none/list.nxs", 404, "not-found"),
        ("{data}/a\0b.nxs", 400, "invalid-path"),
    ],
    ids=["outside", "climbing", "relative", "empty", "10 kB", "no folder", "NUL"],
)
def test_no_list_is_written_elsewhere(
    api: httpx.Client, data: Path, filename: str, status: int, code: str
) -> None:
    filename = filename.replace("{data}", str(data))
    answer = api.post("/process_list", params={"filename": filename}, json=LIST)
    assert_problem(answer, status, code)


def test_a_link_out_of_the_data_is_not_followed(
    api: httpx.Client, data: Path, tmp_path: Path
) -> None:
    outside = tmp_path / "outside.nxs"
    format_.write(outside, ProcessList((DEZINGER,)), overwrite=False)
    before = outside.read_bytes()
    (data / "link.nxs").symlink_to(outside)
    (data / "out").symlink_to(tmp_path)
    for path in (data / "link.nxs", data / "out" / "outside.nxs"):
        assert_problem(read(api, path), 403, "outside-data-roots")
        assert_problem(replace(api, path), 403, "outside-data-roots")
    assert_problem(create(api, data / "out" / "new.nxs"), 403, "outside-data-roots")
    assert outside.read_bytes() == before
    found = api.get("/process_list", params={"path": str(data)}).json()
    assert found["files"] == []


def test_a_link_inside_the_data_stays_a_link_when_its_list_is_replaced(
    api: httpx.Client, data: Path
) -> None:
    create(api, data / "real.nxs")
    (data / "link.nxs").symlink_to("real.nxs")
    answer = replace(api, data / "link.nxs", {"plugins": LIST["plugins"][:1]})
    assert answer.json()["filename"] == str(data / "real.nxs")
    assert (data / "link.nxs").is_symlink()
    assert len(format_.read(data / "real.nxs").steps) == 1


# -- Other people, full disks ---------------------------------------------------------------------

ADA, ALAN, GRACE, VISIT = 21001, 21003, 21002, 31001


@contextlib.contextmanager
def visit_of_a_group() -> Iterator[Path]:
    """A visit's folder, 2770, of a group that ada and alan are in; where both can reach it."""
    with tempfile.TemporaryDirectory(prefix="savu-visit-") as made:
        top = Path(made)
        top.chmod(0o755)
        folder = top / "cm10001-1"
        folder.mkdir()
        os.chown(folder, 0, VISIT)
        folder.chmod(0o2770)
        yield folder


def test_what_ada_saves_alan_can_replace_and_grace_cannot_read(tmp_path: Path) -> None:
    needs_root()
    with visit_of_a_group() as visit:
        catalogue = write_catalogue(visit.parent)
        catalogue.chmod(0o644)
        changes = savu_variables(catalogue)
        path = visit / "shared.nxs"
        with serve([visit.parent], uid=ADA, gid=ADA, groups=[VISIT], changes=changes) as ada:
            assert create(ada.client, path).status_code == 201
        status = path.stat()
        assert (status.st_uid, status.st_gid, status.st_mode & 0o7777) == (ADA, VISIT, 0o664)
        with serve([visit.parent], uid=ALAN, gid=ALAN, groups=[VISIT], changes=changes) as alan:
            body = read(alan.client, path)
            assert replace(alan.client, path, body.json(), body.headers["etag"]).status_code == 200
        status = path.stat()
        assert (status.st_uid, status.st_gid, status.st_mode & 0o7777) == (ALAN, VISIT, 0o664)
        with serve([visit.parent], uid=GRACE, gid=GRACE, groups=[], changes=changes) as grace:
            for answer in (
                read(grace.client, path),
                create(grace.client, visit / "new.nxs"),
                replace(grace.client, path),
                grace.client.get("/files", params={"path": str(visit)}),
                grace.client.get("/process_list", params={"path": str(visit)}),
            ):
                assert_problem(answer, 403, "permission-denied")
            listed = grace.client.get("/files", params={"path": str(visit.parent)}).json()
            assert listed["entries"][0]["readable"] is False
            found = grace.client.get("/process_list", params={"path": str(visit.parent)})
            assert found.json()["files"] == []


def test_of_two_sessions_that_save_at_once_one_is_told(tmp_path: Path) -> None:
    changes = savu_variables(write_catalogue(tmp_path))
    (tmp_path / "visit").mkdir()
    path = tmp_path / "visit" / "shared.nxs"
    with (
        serve([tmp_path], changes=changes) as ada,
        serve([tmp_path], changes=changes) as alan,
        ThreadPoolExecutor(2) as threads,
    ):
        etag = create(ada.client, path).headers["etag"]
        loader = LIST["plugins"][0]
        for number in range(10):
            bodies = ({"plugins": [loader] * (2 * number + each)} for each in (1, 2))
            saving = [
                threads.submit(replace, session.client, path, body, etag)
                for session, body in zip((ada, alan), bodies, strict=True)
            ]
            answers = sorted((each.result() for each in saving), key=lambda a: a.status_code)
            assert [answer.status_code for answer in answers] == [200, 412]
            etag = answers[0].headers["etag"]
    assert not hidden(path.parent)


def test_a_replaced_list_stays_in_its_group(tmp_path: Path) -> None:
    """Also where the folder gives no group: somebody shared this one list by hand."""
    needs_root()
    with visit_of_a_group() as visit:
        catalogue = write_catalogue(visit.parent)
        catalogue.chmod(0o644)
        folder = visit.parent / "ada"
        folder.mkdir()
        os.chown(folder, ADA, ADA)
        path = folder / "shared.nxs"
        changes = savu_variables(catalogue)
        with serve([visit.parent], uid=ADA, gid=ADA, groups=[VISIT], changes=changes) as ada:
            create(ada.client, path)
            assert path.stat().st_gid == ADA
            os.chown(path, ADA, VISIT)
            assert replace(ada.client, path).status_code == 200
            status = path.stat()
            assert (status.st_gid, status.st_mode & 0o7777) == (VISIT, 0o664)
            # Of a group that ada is not in it cannot be: saving goes on all the same.
            os.chown(path, ADA, GRACE)
            assert replace(ada.client, path).status_code == 200
            assert path.stat().st_gid == ADA


def test_a_write_protected_list_is_not_replaced_through_its_folder(tmp_path: Path) -> None:
    needs_root()
    with visit_of_a_group() as visit:
        path = visit / "protected.nxs"
        format_.write(path, ProcessList((DEZINGER,)), overwrite=False)
        path.chmod(0o444)
        before = path.read_bytes()
        with serve([visit.parent], uid=ALAN, gid=ALAN, groups=[VISIT]) as alan:
            body = read(alan.client, path).json()
            assert_problem(replace(alan.client, path, body), 403, "write-protected")
        assert path.read_bytes() == before


@contextlib.contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    needs_root()
    mount = needs_program("mount")
    try:
        subprocess.run(
            [mount, "-t", "tmpfs", "-o", "size=256k,mode=0777", "tmpfs", folder],
            check=True,
            capture_output=True,
        )
    except subprocess.CalledProcessError as error:
        pytest.skip(f"this machine mounts no tmpfs: {error.stderr.decode().strip()}")
    try:
        yield folder
    finally:
        subprocess.run([needs_program("umount"), folder], check=True)


def fill(file: Path) -> None:
    """Write to this file until its disk is full."""
    with file.open("wb", buffering=0) as filler, contextlib.suppress(OSError):
        while True:
            filler.write(bytes(512))


def test_a_full_disk_is_said_and_the_old_list_stays_whole(tmp_path: Path) -> None:
    catalogue = write_catalogue(tmp_path)
    (tmp_path / "disk").mkdir()
    with (
        small_disk(tmp_path / "disk") as disk,
        serve([disk], changes=savu_variables(catalogue)) as api,
    ):
        assert create(api.client, disk / "old.nxs").status_code == 201
        before = (disk / "old.nxs").read_bytes()
        fill(disk / "filler")
        body = read(api.client, disk / "old.nxs").json()
        assert_problem(replace(api.client, disk / "old.nxs", body), 507, "disk-full")
        assert_problem(create(api.client, disk / "new.nxs"), 507, "disk-full")
        assert (disk / "old.nxs").read_bytes() == before
        assert sorted(entry.name for entry in disk.iterdir()) == ["filler", "old.nxs"]
        (disk / "filler").unlink()
        assert replace(api.client, disk / "old.nxs", body).status_code == 200
