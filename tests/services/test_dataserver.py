"""The data server as a program: real files in, HTTP out."""

from __future__ import annotations

import asyncio
import fcntl
import io
import json
import os
import signal
import struct
import subprocess
import sys
import time
import zlib
from pathlib import Path

import h5py
import hdf5plugin
import httpx
import numpy as np
import psutil
import pytest
from PIL import Image

from tests.support.dataserver import running_dataserver
from tests.support.needs import needs_root
from tests.support.people import wait_until

FRAMES = np.random.default_rng(1).integers(0, 4000, (12, 40, 50), dtype=np.uint16)
MAX_BYTES = 8 * 1024 * 1024
SECRET = b"the secret outside"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """``inside`` is the data root; ``outside`` is not."""
    folder = tmp_path_factory.mktemp("dataserver")
    for name in ("inside", "outside"):
        (folder / name).mkdir()
    with h5py.File(folder / "outside" / "secret.h5", "w") as file:
        file["secret"] = np.frombuffer(SECRET, np.uint8)
    (folder / "outside" / "secret.raw").write_bytes(SECRET)
    return folder


@pytest.fixture(scope="module")
def server(folder):
    with running_dataserver(folder / "inside", max_bytes=MAX_BYTES) as server:
        yield server


@pytest.fixture
def inside(folder, request):
    """A folder of the test's own within the data root."""
    own = folder / "inside" / request.node.name.replace("/", "_")[:80]
    own.mkdir()
    return own


@pytest.fixture(scope="module")
def scan(folder):
    """A NeXus file as a detector leaves it."""
    path = folder / "inside" / "scan.nxs"
    with h5py.File(path, "w") as file:
        file.attrs["default"] = "entry1"
        entry = file.create_group("entry1")
        entry.attrs["NX_class"] = "NXentry"
        entry.attrs["default"] = "tomo"
        tomo = entry.create_group("tomo")
        tomo.attrs["NX_class"] = "NXdata"
        tomo.attrs["signal"] = "data"
        growing = {"chunks": (1, 40, 50), "maxshape": (None, 40, 50)}
        tomo.create_dataset("data", data=FRAMES, **growing, **hdf5plugin.Bitshuffle())
        tomo["rotation_angle"] = np.linspace(0, 180, 12)
        tomo["title"] = "phantom µm"
    return str(path)


def refused(answer: httpx.Response, status: int, code: str | None = None) -> str:
    """The sentence of a problem document."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["status"] == status
    assert problem["title"]
    assert problem["detail"].endswith((".", "inside."))
    assert problem["message"] == problem["detail"], "H5Web shows `message`"
    if code is not None:
        assert problem["code"] == code
    return problem["detail"]


# -- What H5Web asks ----------------------------------------------------------------------------


def test_meta_of_the_root_lists_members_as_h5web_reads_them(server, scan):
    meta = server.get("/h5grove/meta", file=scan, path="/").json()
    assert meta["kind"] == "group"
    assert meta["attributes"][0]["name"] == "default"
    assert meta["attributes"][0]["shape"] == []
    assert meta["children"][0]["name"] == "entry1"
    assert meta["children"][0]["kind"] == "group"


@pytest.mark.parametrize("route", ["meta", "attr", "data", "stats", "paths"])
def test_a_route_answers_with_and_without_a_slash_at_its_end_and_never_redirects(
    server, scan, route
):
    path = "/entry1/tomo/rotation_angle" if route in ("data", "stats") else "/"
    with_slash = server.get(f"/h5grove/{route}/", file=scan, path=path)
    without = server.get(f"/h5grove/{route}", file=scan, path=path)
    assert with_slash.status_code == without.status_code == 200
    assert with_slash.content == without.content


def test_meta_is_what_h5grove_itself_says(server, scan):
    from h5grove.content import get_content_from_file
    from h5grove.encoders import encode

    for path in ("/", "/entry1", "/entry1/tomo", "/entry1/tomo/data", "/entry1/tomo/title"):
        with get_content_from_file(scan, path, AssertionError) as content:
            expected = encode(content.metadata(), "json").content
        assert server.get("/h5grove/meta", file=scan, path=path).json() == json.loads(expected)


def test_a_frame_arrives_as_the_bytes_of_a_typed_array(server, scan):
    answer = server.get(
        "/h5grove/data",
        file=scan,
        path="/entry1/tomo/data",
        selection="3,:,:",
        format="bin",
        dtype="safe",
    )
    assert answer.headers["content-type"] == "application/octet-stream"
    assert int(answer.headers["content-length"]) == FRAMES[3].nbytes
    assert answer.content == FRAMES[3].tobytes()


def test_a_sinogram_of_bitshuffled_frames_is_read_across_all_of_them(server, scan):
    answer = server.get(
        "/h5grove/data", file=scan, path="/entry1/tomo/data", selection=":,7,:", format="bin"
    )
    assert answer.content == FRAMES[:, 7, :].tobytes()


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (np.arange(6, dtype=">i2").reshape(2, 3), np.arange(6, dtype="<i2")),
        (np.arange(4, dtype=">f8"), np.arange(4, dtype="<f8")),
        (np.array([0.5, 1.5], dtype=np.float16), np.array([0.5, 1.5], dtype="<f4")),
        (np.array([1, 2**63], dtype=np.uint64), np.array([1, 2**63], dtype="<u8")),
        (np.array([True, False]), np.array([1, 0], dtype="u1")),
        (np.float32(2.5), np.float32(2.5)),
    ],
    ids=["big-endian integers", "big-endian floats", "float16", "uint64", "bool", "scalar"],
)
def test_safe_types_are_what_a_browser_has(server, inside, values, expected):
    with h5py.File(inside / "a.h5", "w") as file:
        file["values"] = values
    answer = server.get(
        "/h5grove/data", file=inside / "a.h5", path="/values", format="bin", dtype="safe"
    )
    assert answer.content == expected.tobytes()


def test_strings_compounds_and_the_rest_are_json(server, inside):
    with h5py.File(inside / "a.h5", "w") as file:
        file["text"] = "µm"
        file["texts"] = ["a", "bb"]
        file["fixed"] = np.array([b"a", b"bb"])
        file["latin"] = np.array([b"\xb5m"])
        file["compound"] = np.array([(1, 2.5)], dtype=[("a", "i4"), ("b", "f8")])
        file["complex"] = np.array([1 + 2j])
        file["bool"] = np.array([True, False])
        file["null"] = h5py.Empty("f4")
        file["nan"] = np.array([np.nan, 1])
        ragged = file.create_dataset("ragged", (2,), h5py.vlen_dtype(np.int32))
        ragged[0], ragged[1] = [1, 2, 3], []
        file["array"] = np.zeros(1, dtype=[("v", "f4", (2,))])
        file["reference"] = np.array([file["text"].ref], dtype=h5py.ref_dtype)

    def values(name):
        answer = server.get("/h5grove/data", file=inside / "a.h5", path=name, flatten="true")
        assert answer.status_code == 200, answer.text
        return answer.json()

    assert values("text") == "µm"
    assert values("texts") == ["a", "bb"]
    assert values("fixed") == ["a", "bb"]
    assert values("latin") == ["\ufffdm"]
    assert values("compound") == [[1, 2.5]]
    assert values("complex") == [[1.0, 2.0]]
    assert values("bool") == [True, False]
    assert values("null") is None
    assert values("nan") == [None, 1]
    assert values("ragged") == [[1, 2, 3], []]
    assert values("array") == [[[0.0, 0.0]]]
    assert len(values("reference")) == 1
    meta = server.get("/h5grove/meta", file=inside / "a.h5").json()
    assert {child["kind"] for child in meta["children"]} == {"dataset"}


def test_values_of_variable_length_have_no_bytes_to_give_away(server, inside):
    with h5py.File(inside / "a.h5", "w") as file:
        file["texts"] = ["a", "bb"]
    answer = server.get("/h5grove/data", file=inside / "a.h5", path="/texts", format="bin")
    refused(answer, 422)


@pytest.mark.parametrize("format", ["npy", "tiff", "csv"])
def test_a_frame_can_be_exported(server, scan, format):
    answer = server.get(
        "/h5grove/data", file=scan, path="/entry1/tomo/data", selection="0", format=format
    )
    assert answer.status_code == 200
    assert f'filename="data.{format}"' in answer.headers["content-disposition"]
    if format == "npy":
        assert np.array_equal(np.load(io.BytesIO(answer.content)), FRAMES[0])


def test_attributes_keep_their_values(server, inside):
    with h5py.File(inside / "a.h5", "w") as file:
        file.attrs["units"] = "mm"
        file.attrs["shape"] = [1, 2]
        file.attrs["bytes"] = np.bytes_(b"\xff\xfe")
    path = inside / "a.h5"
    assert server.get("/h5grove/attr", file=path).json() == {
        "units": "mm",
        "shape": [1, 2],
        "bytes": "\ufffd\ufffd",
    }
    assert server.get("/h5grove/attr", file=path, attr_keys="units").json() == {"units": "mm"}
    refused(server.get("/h5grove/attr", file=path, attr_keys="nope"), 404)


def test_statistics_leave_out_what_is_not_finite(server, inside):
    with h5py.File(inside / "a.h5", "w") as file:
        file["v"] = np.array([1.0, np.nan, 3.0, np.inf])
    stats = server.get("/h5grove/stats", file=inside / "a.h5", path="/v").json()
    assert (stats["min"], stats["max"], stats["mean"]) == (1.0, 3.0, 2.0)


def test_paths_lists_everything_for_the_search(server, scan):
    paths = server.get("/h5grove/paths", file=scan).json()
    assert set(paths) == {
        "/",
        "/entry1",
        "/entry1/tomo",
        "/entry1/tomo/data",
        "/entry1/tomo/rotation_angle",
        "/entry1/tomo/title",
    }


# -- What DAWN's data server answers ------------------------------------------------------------


def test_info_is_dawns_lines(server, scan):
    answer = server.get("/info/", path=scan, dataset="/entry1/tomo/data")
    assert answer.headers["content-type"].startswith("text/plain")
    assert answer.text.splitlines() == [
        "/entry1/tomo/data",
        "[12, 40, 50]",
        "3",
        "1",
        "[-1, 40, 50]",
        "[1, 40, 50]",
    ]


def test_info_guesses_the_dataset_by_the_nexus_default(server, scan):
    assert server.get("/info", path=scan).text.splitlines()[0] == "/entry1/tomo/data"


def test_info_guesses_the_largest_dataset_of_numbers_without_nexus(server, inside):
    with h5py.File(inside / "a.h5", "w") as file:
        file["a/small"] = np.zeros(3)
        file["b/large"] = np.zeros((4, 5))
        file["c/text"] = ["x"] * 100
    assert server.get("/info", path=inside / "a.h5").text.splitlines() == [
        "/b/large",
        "[4, 5]",
        "6",
        "1",
    ]


def test_a_slice_is_a_png_of_the_data_in_the_stated_window(server, scan):
    answer = server.get("/slice", path=scan, slice="[2,:,:]", format="PNG")
    assert answer.headers["content-type"] == "image/png"
    low, high = float(answer.headers["x-slice-min"]), float(answer.headers["x-slice-max"])
    assert (low, high) == pytest.approx(tuple(np.percentile(FRAMES[2], (5, 95))))
    picture = np.asarray(Image.open(io.BytesIO(answer.content)))
    expected = np.clip((FRAMES[2] - low) / (high - low) * 255, 0, 255)
    assert picture.shape == (40, 50)
    assert np.abs(picture - expected).max() <= 0.51


def test_a_slice_in_a_given_window_is_exact(server, scan):
    answer = server.get("/slice", path=scan, slice=":,5,:", min=0, max=255)
    picture = np.asarray(Image.open(io.BytesIO(answer.content)))
    assert np.array_equal(picture, np.clip(FRAMES[:, 5, :], 0, 255))


def test_a_slice_is_reduced_on_the_server(server, scan):
    answer = server.get("/slice", path=scan, slice="0,:,:", bin="MEAN:2x5", min=0, max=4000)
    picture = np.asarray(Image.open(io.BytesIO(answer.content)))
    expected = FRAMES[0].reshape(20, 2, 10, 5).mean(axis=(1, 3)) * 255 / 4000
    assert np.abs(picture - expected).max() <= 0.51
    narrow = server.get("/slice", path=scan, slice="0,:,:", width=20)
    assert Image.open(io.BytesIO(narrow.content)).width <= 20
    assert narrow.headers["x-slice-shape"] == "40x50"


def test_a_jpg_is_called_one(server, scan):
    answer = server.get("/slice/", path=scan, slice="0,:,:", format="JPG", histo="MEAN")
    assert answer.headers["content-type"] == "image/jpeg"
    assert Image.open(io.BytesIO(answer.content)).format == "JPEG"


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ({}, 422),
        ({"slice": "0:2,:,:"}, 422),
        ({"slice": "99,:,:"}, 422),
        ({"slice": "...,0"}, 400),
        ({"slice": "0,:,:", "format": "DATA"}, 400),
        ({"slice": "0,:,:", "bin": "MEAN:0"}, 400),
        ({"slice": "0,:,:", "histo": "x"}, 400),
        ({"slice": "0,:,:", "width": "-1"}, 400),
        ({"slice": "0,:,:", "min": "nan"}, 400),
        ({"slice": "0,:,:", "dataset": "/nope"}, 404),
        ({"slice": "0,:,:", "dataset": "/entry1"}, 422),
    ],
    ids=str,
)
def test_a_slice_that_cannot_be_is_explained(server, scan, query, status):
    refused(server.get("/slice", path=scan, **query), status)


def test_the_tree_is_one_document(server, scan):
    tree = server.get("/tree", path=scan).json()
    assert tree["truncated"] == []
    entry = tree["tree"]["children"][0]
    assert (entry["name"], entry["attributes"]["NX_class"]) == ("entry1", "NXentry")
    data = entry["children"][0]["children"][0]
    assert data == {
        "name": "data",
        "kind": "dataset",
        "shape": [12, 40, 50],
        "max_shape": [None, 40, 50],
        "chunks": [1, 40, 50],
        "dtype": "<u2",
        "attributes": {},
    }


# -- Containment --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    [
        "{root}/outside/secret.h5",
        "{root}/outside/absent.h5",
        "{root}/inside/../outside/secret.h5",
        "{root}/inside/./../outside/secret.h5",
        "{root}/inside2/x.h5",
        "/etc/passwd",
        "/proc/self/environ",
        "/",
    ],
)
@pytest.mark.parametrize("route", ["/h5grove/meta", "/info", "/slice", "/tree"])
def test_a_file_outside_is_refused_whether_it_exists_or_not(server, folder, path, route):
    path = path.format(root=folder)
    name = "file" if "h5grove" in route else "path"
    refused(server.get(route, **{name: path}), 403, "outside-data-roots")


def test_a_symbolic_link_out_is_refused_and_one_within_is_followed(server, folder, inside, scan):
    (inside / "out.h5").symlink_to(folder / "outside" / "secret.h5")
    (inside / "folder").symlink_to(folder / "outside")
    (inside / "in.nxs").symlink_to(scan)
    refused(server.get("/h5grove/meta", file=inside / "out.h5"), 403)
    refused(server.get("/h5grove/meta", file=inside / "folder" / "secret.h5"), 403)
    refused(server.get("/h5grove/meta", file=inside / "folder" / "absent.h5"), 403)
    assert server.get("/h5grove/meta", file=inside / "in.nxs").status_code == 200


@pytest.mark.parametrize(
    "form", ["absolute", "relative", "by a chain", "by a soft link", "by symlink"]
)
def test_an_external_link_out_is_refused(server, folder, inside, form):
    secret = folder / "outside" / "secret.h5"
    with h5py.File(inside / "a.h5", "w") as file:
        if form == "absolute":
            file["x"] = h5py.ExternalLink(str(secret), "/secret")
        elif form == "relative":
            file["x"] = h5py.ExternalLink(os.path.relpath(secret, inside), "/secret")
        elif form == "by a chain":
            file["x"] = h5py.ExternalLink("b.h5", "/y")
            with h5py.File(inside / "b.h5", "w") as second:
                second["y"] = h5py.ExternalLink("c.h5", "/z")
            with h5py.File(inside / "c.h5", "w") as third:
                third["z"] = h5py.ExternalLink(str(secret), "/secret")
        elif form == "by a soft link":
            file["g/out"] = h5py.ExternalLink(str(secret), "/")
            file["x"] = h5py.SoftLink("/g/out/secret")
        else:
            (inside / "link.h5").symlink_to(secret)
            file["x"] = h5py.ExternalLink("link.h5", "/secret")
    path = inside / "a.h5"
    for route in ("data", "meta", "attr", "stats"):
        answer = server.get(f"/h5grove/{route}", file=path, path="/x")
        refused(answer, 403, "outside-data-roots")
        assert SECRET not in answer.content
    assert server.get("/slice", path=path, dataset="/x").status_code == 403
    listed = server.get("/h5grove/meta", file=path).json()["children"]
    shown = next(child for child in listed if child["name"] == "x")
    assert shown["kind"] in ("external_link", "soft_link"), "H5Web shows it as unresolved"


@pytest.mark.parametrize("form", ["absolute", "relative", "moved together"])
def test_an_external_link_within_is_followed(server, inside, form):
    (inside / "sub").mkdir()
    with h5py.File(inside / "sub" / "raw.h5", "w") as file:
        file["d"] = np.arange(5)
    target = {
        "absolute": str(inside / "sub" / "raw.h5"),
        "relative": "sub/raw.h5",
        "moved together": "/nowhere/at/all/raw.h5",
    }[form]
    place = inside / "sub" if form == "moved together" else inside
    with h5py.File(place / "a.h5", "w") as file:
        file["x"] = h5py.ExternalLink(target, "/d")
    answer = server.get("/h5grove/data", file=place / "a.h5", path="/x")
    assert answer.json() == [0, 1, 2, 3, 4]


def test_links_that_lead_nowhere_are_unresolved_for_h5web(server, inside):
    with h5py.File(inside / "a.h5", "w") as file:
        file["soft"] = h5py.SoftLink("/absent")
        file["file"] = h5py.ExternalLink("absent.h5", "/x")
        with h5py.File(inside / "b.h5", "w"):
            file["path"] = h5py.ExternalLink("b.h5", "/absent")
    path = inside / "a.h5"
    children = server.get("/h5grove/meta", file=path).json()["children"]
    assert {child["name"]: child["kind"] for child in children} == {
        "soft": "soft_link",
        "file": "external_link",
        "path": "external_link",
    }
    for name in ("soft", "file", "path"):
        assert server.get("/h5grove/meta", file=path, path=name).status_code == 200
        refused(server.get("/h5grove/meta", file=path, path=name, resolve_links="all"), 404)
        refused(server.get("/h5grove/data", file=path, path=name), 404)


def test_links_in_a_circle_are_an_answer_and_not_an_endless_search(server, inside):
    with h5py.File(inside / "a.h5", "w") as file:
        file["one"] = h5py.SoftLink("/two")
        file["two"] = h5py.SoftLink("/one")
        file["self"] = h5py.SoftLink("/self/self")
        file["out"] = h5py.ExternalLink("b.h5", "/back")
        with h5py.File(inside / "b.h5", "w") as second:
            second["back"] = h5py.ExternalLink("a.h5", "/out")
        group = file.create_group("group")
        group["again"] = group
    path = inside / "a.h5"
    for name in ("one", "self", "out"):
        refused(server.get("/h5grove/data", file=path, path=name), 422, "link-loop")
    assert server.get("/h5grove/meta", file=path).status_code == 200
    assert len(server.get("/h5grove/paths", file=path).json()) < 20
    assert server.get("/tree", path=path).status_code == 200


def _virtual(path: Path, source: str, dataset: str = "/secret", length: int = 0) -> None:
    shape = (length or len(SECRET),)
    layout = h5py.VirtualLayout(shape=shape, dtype=np.uint8)
    layout[...] = h5py.VirtualSource(source, dataset, shape=shape)
    with h5py.File(path, "w", libver="latest") as file:
        file.create_virtual_dataset("v", layout, fillvalue=0)


@pytest.mark.parametrize(
    "form", ["absolute", "relative", "symlink", "by external link", "by nesting", "by printf"]
)
def test_a_virtual_source_outside_is_refused(server, folder, inside, form):
    secret = folder / "outside" / "secret.h5"
    path = inside / "a.h5"
    if form == "absolute":
        _virtual(path, str(secret))
    elif form == "relative":
        _virtual(path, os.path.relpath(secret, inside))
    elif form == "symlink":
        (inside / "link.h5").symlink_to(secret)
        _virtual(path, "link.h5")
    elif form == "by external link":
        with h5py.File(inside / "b.h5", "w") as file:
            file["y"] = h5py.ExternalLink(str(secret), "/secret")
        _virtual(path, "b.h5", "/y")
    elif form == "by nesting":
        _virtual(inside / "b.h5", str(secret))
        _virtual(path, "b.h5", "/v")
    else:
        (inside / "part0.h5").symlink_to(secret)
        _printf(path, "part%b.h5")
    for selection in (None, "0"):
        answer = server.get("/h5grove/data", file=path, path="/v", selection=selection)
        refused(answer, 403, "outside-data-roots")
    assert server.get("/h5grove/stats", file=path, path="/v").status_code == 403
    assert server.get("/slice", path=path, dataset="/v").status_code == 403


def test_a_source_that_hdf5_would_fall_back_to_is_checked_too(server, folder, inside):
    """The named file is no HDF5; the one of the same name beside leads outside."""
    (inside / "sub").mkdir()
    (inside / "sub" / "b.h5").write_bytes(b"not HDF5")
    with h5py.File(inside / "b.h5", "w") as file:
        file["y"] = h5py.ExternalLink(str(folder / "outside" / "secret.h5"), "/secret")
    _virtual(inside / "a.h5", str(inside / "sub" / "b.h5"), "/y")
    answer = server.get("/h5grove/data", file=inside / "a.h5", path="/v", format="bin")
    assert SECRET not in answer.content
    refused(answer, 403, "outside-data-roots")


def test_a_virtual_dataset_of_endless_parts_is_refused(server, inside):
    with h5py.File(inside / "b.h5", "w") as file:
        file["d"] = np.zeros(1, np.uint8)
    count = 20_001
    layout = h5py.VirtualLayout(shape=(count,), dtype=np.uint8)
    source = h5py.VirtualSource("b.h5", "/d", shape=(1,))
    for index in range(count):
        layout[index : index + 1] = source
    with h5py.File(inside / "a.h5", "w", libver="latest") as file:
        file.create_virtual_dataset("v", layout)
    answer = server.get("/h5grove/data", file=inside / "a.h5", path="/v", selection="0")
    refused(answer, 413)


def test_a_very_long_chain_of_files_is_refused(server, inside):
    for number in range(80):
        with h5py.File(inside / f"{number}.h5", "w") as file:
            file["x"] = h5py.ExternalLink(f"{number + 1}.h5", "/x")
    refused(server.get("/h5grove/data", file=inside / "0.h5", path="/x"), 422)


def test_names_that_are_not_utf8_are_shown(server, inside):
    with h5py.File(inside / "a.h5", "w") as file:
        file["ok"] = 1
        space = h5py.h5s.create(h5py.h5s.SCALAR)
        h5py.h5d.create(file.id, b"caf\xe9", h5py.h5t.NATIVE_INT32, space)
        h5py.h5a.create(file.id, b"\xb5m", h5py.h5t.NATIVE_INT32, space)
    path = inside / "a.h5"
    meta = server.get("/h5grove/meta", file=path).json()
    assert [child["name"] for child in meta["children"]] == ["caf\ufffd", "ok"]
    assert meta["children"][0]["kind"] == "dataset"
    for route in ("attr", "paths"):
        assert server.get(f"/h5grove/{route}", file=path).status_code == 200
    assert server.get("/tree", path=path).status_code == 200


def test_a_data_root_may_itself_be_a_symbolic_link(folder, scan):
    link = folder / "link"
    link.symlink_to(folder / "inside")
    with running_dataserver(link, folder / "not there") as server:
        for path in (link / "scan.nxs", scan):
            assert server.get("/h5grove/meta", file=path).status_code == 200
        refused(server.get("/h5grove/meta", file=folder / "outside" / "secret.h5"), 403)


def _printf(path: Path, pattern: str) -> None:
    """A virtual dataset of as many blocks as there are files."""
    length = len(SECRET)
    space = h5py.h5s.create_simple((length,), (h5py.h5s.UNLIMITED,))
    space.select_hyperslab((0,), (h5py.h5s.UNLIMITED,), stride=(length,), block=(length,))
    source = h5py.h5s.create_simple((length,))
    plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plist.set_virtual(space, pattern.encode(), b"/secret", source)
    with h5py.File(path, "w", libver="latest") as file:
        h5py.h5d.create(file.id, b"v", h5py.h5t.NATIVE_UINT8, space, plist)


def test_virtual_sources_within_are_read_and_absent_ones_filled(server, inside):
    with h5py.File(inside / "b.h5", "w") as file:
        file["d"] = np.arange(4, dtype=np.uint8)
    layout = h5py.VirtualLayout(shape=(2, 4), dtype=np.uint8)
    layout[0] = h5py.VirtualSource("b.h5", "/d", shape=(4,))
    layout[1] = h5py.VirtualSource("not yet.h5", "/d", shape=(4,))
    with h5py.File(inside / "a.h5", "w", libver="latest") as file:
        file.create_virtual_dataset("v", layout, fillvalue=9)
    answer = server.get("/h5grove/data", file=inside / "a.h5", path="/v")
    assert answer.json() == [[0, 1, 2, 3], [9, 9, 9, 9]]


def test_a_growing_virtual_dataset_within_is_read(server, inside):
    for number in range(2):
        with h5py.File(inside / f"part{number}.h5", "w") as file:
            file["secret"] = np.full(len(SECRET), number, np.uint8)
    _printf(inside / "a.h5", "part%b.h5")
    meta = server.get("/h5grove/meta", file=inside / "a.h5", path="/v").json()
    assert meta["shape"] == [2 * len(SECRET)]
    answer = server.get("/h5grove/data", file=inside / "a.h5", path="/v", format="bin")
    assert set(answer.content) == {0, 1}


def test_a_virtual_source_may_be_reached_through_an_external_link(server, inside):
    """Master file → detector's file → its parts, and back into a file that is open already."""
    with h5py.File(inside / "master.h5", "w") as file:
        file["raw"] = np.arange(4, dtype=np.uint8)
        file["data"] = h5py.ExternalLink("detector.h5", "/v")
    _virtual(inside / "detector.h5", "master.h5", "/raw", length=4)
    answer = server.get("/h5grove/data", file=inside / "master.h5", path="/data")
    assert answer.json() == [0, 1, 2, 3]


@pytest.mark.parametrize("form", ["absolute", "relative", "symlink", "device"])
def test_external_raw_storage_outside_is_refused(server, folder, inside, form):
    secret = folder / "outside" / "secret.raw"
    name = str(secret)
    if form == "relative":
        name = os.path.relpath(secret, inside)
    elif form == "symlink":
        (inside / "link.raw").symlink_to(secret)
        name = "link.raw"
    elif form == "device":
        name = "/dev/zero"
    _external(inside / "a.h5", name)
    for route in ("data", "stats"):
        refused(server.get(f"/h5grove/{route}", file=inside / "a.h5", path="/d"), 403)
    assert server.get("/slice", path=inside / "a.h5", dataset="/d").status_code == 403


def _external(path: Path, name: str) -> None:
    with h5py.File(path, "w") as file:
        dataset = file.create_dataset(
            "d", (len(SECRET),), np.uint8, external=[(name, 0, h5py.h5f.UNLIMITED)]
        )
        dataset.attrs["units"] = "counts"


@pytest.mark.parametrize("form", ["absolute", "relative"])
def test_external_raw_storage_within_is_read(server, inside, form):
    (inside / "values.raw").write_bytes(bytes(range(len(SECRET))))
    _external(inside / "a.h5", str(inside / "values.raw") if form == "absolute" else "values.raw")
    path = inside / "a.h5"
    assert server.get("/h5grove/data", file=path, path="/d").json() == list(range(len(SECRET)))
    assert server.get("/h5grove/attr", file=path, path="/d").json() == {"units": "counts"}
    meta = server.get("/h5grove/meta", file=path, path="/d").json()
    assert meta["attributes"][0]["name"] == "units"


def test_missing_raw_storage_is_absent(server, inside):
    _external(inside / "a.h5", "absent.raw")
    refused(server.get("/h5grove/data", file=inside / "a.h5", path="/d"), 404)


def test_hdf5s_own_prefix_variables_lead_nowhere(folder, inside):
    _virtual(inside / "v.h5", "secret.h5")
    _external(inside / "r.h5", "secret.raw")
    with h5py.File(inside / "e.h5", "w") as file:
        file["x"] = h5py.ExternalLink("secret.h5", "/secret")
    outside = str(folder / "outside")
    variables = dict.fromkeys(
        ("HDF5_EXT_PREFIX", "HDF5_VDS_PREFIX", "HDF5_EXTFILE_PREFIX"), outside
    )
    with running_dataserver(folder / "inside", extra_environment=variables) as server:
        for name, path in (("v", "/v"), ("r", "/d"), ("e", "/x")):
            answer = server.get(
                "/h5grove/data", file=inside / f"{name}.h5", path=path, format="bin"
            )
            assert SECRET not in answer.content


def test_a_filter_is_never_loaded_from_a_folder_of_the_users(folder, inside):
    """A shared library that would tell of its loading lies where HDF5 was told to look."""
    with h5py.File(inside / "a.h5", "w") as file:
        plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        plist.set_chunk((4,))
        plist.set_filter(40_000, h5py.h5z.FLAG_OPTIONAL, ())
        space = h5py.h5s.create_simple((4,))
        h5py.h5d.create(file.id, b"d", h5py.h5t.NATIVE_INT32, space, plist).write_direct_chunk(
            (0,), b"x" * 16
        )
    plugins = inside / "plugins"
    plugins.mkdir()
    with running_dataserver(
        folder / "inside", extra_environment={"HDF5_PLUGIN_PATH": str(plugins)}
    ) as server:
        nursery = psutil.Process(server.process.pid).children()[0]
        environment = nursery.environ()
        assert "HDF5_PLUGIN_PATH" not in environment
        assert environment["HDF5_PLUGIN_PRELOAD"] == "::"
        refused(server.get("/h5grove/data", file=inside / "a.h5", path="/d"), 422)


# -- Bounds -------------------------------------------------------------------------------------


def test_more_than_the_bound_is_not_attempted(server, inside):
    with h5py.File(inside / "a.h5", "w") as file:
        # 20 GB that nobody wrote: reading them would still fill them in memory.
        file.create_dataset("huge", (20_000, 1000, 1000), "u1", chunks=(1, 1000, 1000))
    path = inside / "a.h5"
    server.get("/h5grove/meta", file=path)
    before = _resident(server)
    for route, query in (
        ("/h5grove/data", {"file": path, "path": "/huge"}),
        ("/h5grove/stats", {"file": path, "path": "/huge"}),
        ("/h5grove/data", {"file": path, "path": "/huge", "selection": ":,0,:", "format": "bin"}),
        ("/slice", {"path": path, "dataset": "/huge", "slice": ":,0,:"}),
    ):
        sentence = refused(server.get(route, **query), 413, "too-large")
        assert "8.0 MiB" in sentence
    assert _resident(server) - before < 16 * 1024 * 1024


def _resident(server) -> int:
    main = psutil.Process(server.process.pid)
    return sum(process.memory_info().rss for process in (main, *main.children(recursive=True)))


def test_one_huge_chunk_is_refused_even_for_one_value(server, inside):
    with h5py.File(inside / "a.h5", "w") as file:
        file.create_dataset("d", (4096, 4096), "u4", chunks=(4096, 4096), compression="gzip")
    answer = server.get("/h5grove/data", file=inside / "a.h5", path="/d", selection="0,0")
    refused(answer, 413)


def test_a_chunk_that_inflates_beyond_its_size_cannot_fill_the_memory(server, inside, scan):
    with h5py.File(inside / "a.h5", "w") as file:
        dataset = file.create_dataset("bomb", (1024,), "u1", chunks=(1024,), compression="gzip")
        packer = zlib.compressobj(9)
        zeros = bytes(1024 * 1024)
        packed = b"".join(packer.compress(zeros) for _ in range(400)) + packer.flush()
        dataset.id.write_direct_chunk((0,), packed)
    answer = server.get("/h5grove/data", file=inside / "a.h5", path="/bomb")
    assert answer.status_code in (413, 422), answer.text
    assert server.get("/h5grove/meta", file=scan).status_code == 200


def test_a_large_attribute_is_left_out_and_said_so(server, inside):
    with h5py.File(inside / "a.h5", "w", libver="latest") as file:
        file.attrs["units"] = "mm"
        file.attrs["large"] = np.zeros(300_000)
        file.attrs["huge"] = np.zeros(2_000_000)
    path = inside / "a.h5"
    answer = server.get("/h5grove/attr", file=path)
    assert answer.json() == {"huge": None, "large": None, "units": "mm"}
    assert answer.headers["x-truncated"] == "attribute values"
    assert len(server.get("/h5grove/attr", file=path, attr_keys="large").json()["large"]) == 300_000
    refused(server.get("/h5grove/attr", file=path, attr_keys="huge"), 413)


def test_many_members_are_cut_off_and_said_so(server, inside):
    with h5py.File(inside / "a.h5", "w") as file:
        group = file.create_group("many")
        first = group.create_group("0")
        for number in range(1, 4000):
            group[str(number)] = first
    path = inside / "a.h5"
    answer = server.get("/h5grove/meta", file=path, path="/many")
    assert answer.json()["truncated"] is True
    assert answer.headers["x-truncated"] == "members"
    assert len(answer.json()["children"]) == 2001
    assert answer.json()["children"][-1]["kind"] == "truncated"
    tree = server.get("/tree", path=path).json()
    assert "members" in tree["truncated"]


def test_a_very_deep_tree_is_cut_off_and_said_so(server, inside):
    with h5py.File(inside / "a.h5", "w", libver="latest") as file:
        group = file
        for _ in range(3000):
            group = group.create_group("g")
    path = inside / "a.h5"
    assert server.get("/tree", path=path).json()["truncated"] == ["depth"]
    paths = server.get("/h5grove/paths", file=path)
    assert paths.headers["x-truncated"] == "depth"
    assert server.get("/tree", path=path, depth=2).json()["truncated"] == ["depth"]
    deep = "/g" * 1500
    assert server.get("/h5grove/meta", file=path, path=deep).json()["kind"] == "group"


def test_a_type_of_endless_members_is_described_briefly(server, inside):
    with h5py.File(inside / "a.h5", "w", libver="latest") as file:
        dtype = np.dtype([(f"m{number}", "i1") for number in range(3000)])
        file.create_dataset("d", (2,), dtype)
    child = server.get("/h5grove/meta", file=inside / "a.h5").json()["children"][0]
    assert child["kind"] == "dataset"
    assert len(str(child)) < 2000


# -- Files that are not as they should be -------------------------------------------------------


def test_an_absent_file_is_404(server, inside):
    assert "no file" in refused(server.get("/h5grove/meta", file=inside / "a.h5"), 404)
    refused(server.get("/h5grove/meta", file=inside / "a.h5" / "b"), 404)


def test_an_absent_path_is_what_h5web_recognises(server, scan):
    for route in ("meta", "data", "attr", "paths"):
        sentence = refused(server.get(f"/h5grove/{route}", file=scan, path="/nope/x"), 404)
        assert "not a valid path" in sentence


@pytest.mark.parametrize("content", [b"", b"hello", b"\0" * 5000, b"II*\0" + b"\0" * 500])
def test_a_foreign_file_is_415(server, inside, content):
    (inside / "a.h5").write_bytes(content)
    refused(server.get("/h5grove/meta", file=inside / "a.h5"), 415, "not-hdf5")


def test_a_truncated_file_is_told_from_a_foreign_one(server, inside, scan):
    whole = Path(scan).read_bytes()
    for length in (100, 1000, len(whole) // 2, len(whole) - 1):
        (inside / "a.h5").write_bytes(whole[:length])
        sentence = refused(server.get("/h5grove/meta", file=inside / "a.h5"), 422)
        assert "a.h5" in sentence


def test_a_folder_a_fifo_and_a_device_are_no_files(server, inside):
    os.mkfifo(inside / "fifo")
    refused(server.get("/h5grove/meta", file=inside), 422)
    refused(server.get("/h5grove/meta", file=inside / "fifo"), 422)


def test_a_corrupt_chunk_fails_alone(server, inside):
    with h5py.File(inside / "a.h5", "w") as file:
        dataset = file.create_dataset("d", (2, 100), "i4", chunks=(1, 100), compression="gzip")
        dataset[...] = 1
        dataset.id.write_direct_chunk((1, 0), b"this is not what gzip writes")
    path = inside / "a.h5"
    assert server.get("/h5grove/data", file=path, path="/d", selection="0").status_code == 200
    refused(server.get("/h5grove/data", file=path, path="/d", selection="1"), 422, "broken")
    refused(server.get("/slice", path=path, dataset="/d"), 422, "broken")


def test_a_file_damaged_anywhere_never_takes_the_server_with_it(server, inside, scan):
    """Bytes flipped all over a file's structure: any answer but 5xx, and the next file is fine."""
    whole = Path(scan).read_bytes()
    random = np.random.default_rng(7)
    damaged = inside / "a.h5"
    for _ in range(60):
        content = bytearray(whole)
        for position in random.integers(0, min(len(whole), 4000), 8):
            content[position] = random.integers(0, 256)
        damaged.write_bytes(content)
        for answer in (
            server.get("/tree", path=damaged),
            server.get("/h5grove/meta", file=damaged, path="/entry1/tomo"),
            server.get("/slice", path=damaged, dataset="/entry1/tomo/data", slice="0"),
        ):
            assert answer.status_code < 500, answer.text
    assert server.get("/h5grove/meta", file=scan).status_code == 200


def test_a_file_being_written_is_shown_as_far_as_it_goes(server, inside):
    path = inside / "a.h5"
    with h5py.File(path, "w", libver="latest") as file:
        dataset = file.create_dataset("d", (0, 4), "i4", maxshape=(None, 4), chunks=(1, 4))
        file.swmr_mode = True
        for rows in (1, 2, 5):
            dataset.resize(rows, axis=0)
            dataset[...] = np.arange(rows * 4).reshape(rows, 4)
            dataset.flush()
            meta = server.get("/h5grove/meta", file=path, path="/d").json()
            assert meta["shape"] == [rows, 4]
            values = server.get("/h5grove/data", file=path, path="/d", selection="-1").json()
            assert values[-1] == rows * 4 - 1


def test_a_file_locked_by_its_writer_is_409_or_shown(server, inside):
    path = inside / "a.h5"
    with h5py.File(path, "w", libver="latest") as file:
        file["d"] = [1, 2, 3]
        file.flush()
        sentence = refused(server.get("/h5grove/meta", file=path), 409, "being-written")
        assert "a.h5" in sentence
    assert server.get("/h5grove/meta", file=path).status_code == 200
    with h5py.File(path, "w") as file:  # the old format, without such a mark
        file["d"] = [1, 2, 3]
        file.flush()
        assert server.get("/h5grove/data", file=path, path="/d").json() == [1, 2, 3]


# -- Requests that are not as they should be ----------------------------------------------------


@pytest.mark.parametrize(
    ("file", "status"),
    [("a" * 10_000, 400), ("/" + "a" * 10_000, 400), ("relative.h5", 400), ("", 400)],
    ids=["10 kB", "10 kB absolute", "relative", "empty"],
)
def test_a_path_that_is_none_is_refused(server, file, status):
    refused(server.get("/h5grove/meta", file=file), status)


def test_nul_is_refused_in_both_paths(server, scan):
    refused(server.get("/h5grove/meta", file=scan + "\0.h5"), 400)
    refused(server.get("/h5grove/meta", file=scan, path="/entry1\0"), 400)
    refused(server.get("/h5grove/data", file=scan, path="/x", selection="\0"), 404)


def test_a_name_of_300_characters_is_no_server_error(server, inside):
    refused(server.get("/h5grove/meta", file=inside / ("a" * 300)), 400)


def test_10_kb_inside_the_file_are_refused(server, scan):
    refused(server.get("/h5grove/meta", file=scan, path="/x" * 5000), 400)


def test_a_missing_parameter_is_named(server):
    assert "file" in refused(server.get("/h5grove/meta"), 400)


@pytest.mark.parametrize("query", [{"format": "exe"}, {"dtype": "i2"}, {"selection": "x"}], ids=str)
def test_a_wrong_parameter_is_explained(server, scan, query):
    answer = server.get("/h5grove/data", file=scan, path="/entry1/tomo/rotation_angle", **query)
    assert answer.status_code in (400, 422)
    refused(answer, answer.status_code)


def test_nothing_can_be_written(server, scan):
    for method in ("POST", "PUT", "DELETE", "PATCH"):
        answer = server.client.request(method, "/h5grove/data", params={"file": scan})
        refused(answer, 405)


def test_an_unknown_address_is_a_problem_document_too(server):
    refused(server.get("/nothing/here"), 404)


def test_every_answer_tells_the_browser_not_to_run_it(server, scan):
    for answer in (
        server.get("/h5grove/meta", file=scan),
        server.get("/slice", path=scan, slice="0"),
        server.get("/h5grove/meta", file="/etc/passwd"),
        server.get("/nope"),
    ):
        assert answer.headers["content-security-policy"].startswith("sandbox")
        assert answer.headers["x-content-type-options"] == "nosniff"


def test_the_interface_is_described(server):
    paths = server.get("/openapi.json").json()["paths"]
    assert {"/info", "/slice", "/tree", "/h5grove/meta", "/h5grove/data"} <= set(paths)
    assert not any(path.startswith("/internal") or path.endswith("/") for path in paths)


# -- As another user ----------------------------------------------------------------------------


def test_a_file_of_another_group_is_refused_naming_file_and_group(tmp_path_factory):
    needs_root()
    folder = tmp_path_factory.mktemp("visits")
    for part in (folder, *list(folder.parents)[:-2]):
        part.chmod(part.stat().st_mode | 0o055)
    for name in ("open.h5", "closed.h5"):
        with h5py.File(folder / name, "w") as file:
            file["d"] = [1]
    os.chown(folder / "closed.h5", 0, 31_002)
    (folder / "closed.h5").chmod(0o640)
    (folder / "visit").mkdir()
    os.link(folder / "open.h5", folder / "visit" / "a.h5")
    os.chown(folder / "visit", 0, 31_003)
    (folder / "visit").chmod(0o770)
    with h5py.File(folder / "linking.h5", "w") as file:
        file["x"] = h5py.ExternalLink("closed.h5", "/d")
    with running_dataserver(folder, user=21_001) as server:
        assert server.get("/h5grove/meta", file=folder / "open.h5").status_code == 200
        sentence = refused(
            server.get("/h5grove/meta", file=folder / "closed.h5"), 403, "permission-denied"
        )
        assert "closed.h5" in sentence
        assert "31002" in sentence
        assert "member" in sentence
        sentence = refused(server.get("/h5grove/meta", file=folder / "visit" / "a.h5"), 403)
        assert f"folder {folder / 'visit'}" in sentence
        assert "31003" in sentence
        refused(server.get("/h5grove/data", file=folder / "linking.h5", path="/x"), 403)
        children = server.get("/h5grove/meta", file=folder / "linking.h5").json()["children"]
        assert children[0]["kind"] == "external_link"


# -- Staying responsive -------------------------------------------------------------------------


@pytest.fixture(scope="module")
def heavy(folder):
    """A stack whose sinograms need all of it decoded."""
    path = folder / "inside" / "heavy.h5"
    frame = np.random.default_rng(2).integers(0, 2**16, (700, 700), dtype=np.uint16)
    with h5py.File(path, "w") as file:
        data = file.create_dataset(
            "d", (300, 700, 700), "u2", chunks=(1, 700, 700), compression="gzip"
        )
        chunk = zlib.compress(frame.tobytes(), 1)
        for number in range(300):
            data.id.write_direct_chunk((number, 0, 0), chunk)
    return str(path)


async def test_metadata_does_not_wait_behind_slices(server, heavy, scan):
    async with server.async_client() as client:
        slices = [
            asyncio.create_task(
                client.get(
                    "/h5grove/data",
                    params={
                        "file": heavy,
                        "path": "/d",
                        "selection": f":,{row},:",
                        "format": "bin",
                    },
                )
            )
            for row in range(4)
        ]
        answered = 0
        while not any(task.done() for task in slices):
            answer = await client.get("/h5grove/meta", params={"file": heavy, "path": "/d"})
            answered += 1
            assert answer.status_code == 200
        assert answered > 3, "metadata requests fit into one heavy slice"
        assert {answer.status_code for answer in await asyncio.gather(*slices)} == {200}


async def test_an_unwanted_slice_frees_its_worker(server, heavy, scan):
    async with server.async_client() as client:
        for row in range(6):
            with pytest.raises(httpx.ReadTimeout):
                await client.get(
                    "/slice",
                    params={"path": heavy, "dataset": "/d", "slice": f":,{row},:"},
                    timeout=0.1,
                )
        began = time.monotonic()
        answer = await client.get("/slice", params={"path": scan, "slice": "0"})
        assert answer.status_code == 200
        short = time.monotonic() - began
        began = time.monotonic()
        await client.get("/slice", params={"path": heavy, "dataset": "/d", "slice": ":,0,:"})
        assert short < time.monotonic() - began, "six heavy ones were not read to their end"


def _workers(server) -> list[psutil.Process]:
    nursery = psutil.Process(server.process.pid).children()[0]
    return [child for child in nursery.children() if child.status() != psutil.STATUS_ZOMBIE]


def test_a_killed_worker_is_replaced(server, scan):
    for _ in range(3):
        assert server.get("/h5grove/meta", file=scan).status_code == 200
        for worker in _workers(server):
            worker.kill()
        assert server.get("/h5grove/meta", file=scan).status_code == 200
        assert server.get("/slice", path=scan, slice="0").status_code == 200


async def test_a_worker_killed_at_work_fails_only_its_own_request(server, heavy, scan):
    async with server.async_client() as client:
        before = {worker.pid for worker in _workers(server)}
        query = {"path": heavy, "dataset": "/d", "slice": ":,0,:"}
        task = asyncio.create_task(client.get("/slice", params=query))
        victim = None
        while victim is None:
            await asyncio.sleep(0.01)
            victim = next((w for w in _workers(server) if w.status() == "running"), None)
            assert not task.done(), before
        victim.send_signal(signal.SIGSEGV)
        refused(await task, 422, "broken")
        assert (await client.get("/h5grove/meta", params={"file": scan})).status_code == 200
        assert (await client.get("/slice", params=query)).status_code == 200


def test_a_killed_nursery_is_replaced(server, scan):
    assert server.get("/h5grove/meta", file=scan).status_code == 200
    psutil.Process(server.process.pid).children()[0].kill()
    answers = [server.get("/h5grove/meta", file=scan).status_code for _ in range(2)]
    assert answers[-1] == 200
    # Workers that lived on may have answered before the new nursery is ready.
    wait_until(lambda: server.get("/internal/health").status_code == 204)


async def test_a_file_on_storage_that_hangs_is_503_and_the_others_go_on(server, inside, scan):
    """A lease makes the kernel hold everyone else's open(2), as a dead NFS server would."""
    stuck = inside / "stuck.h5"
    with h5py.File(stuck, "w") as file:
        file["d"] = [1]
    signal.signal(signal.SIGIO, signal.SIG_IGN)
    descriptor = os.open(stuck, os.O_RDWR)
    try:
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_WRLCK)
    except OSError as error:
        os.close(descriptor)
        pytest.skip(f"this file system has no leases: {error}")
    try:
        async with server.async_client() as client:
            began = time.monotonic()
            hung = [
                asyncio.create_task(client.get("/h5grove/meta", params={"file": str(stuck)}))
                for _ in range(8)
            ]
            others = 0
            while not all(task.done() for task in hung):
                answer = await client.get("/h5grove/meta", params={"file": scan})
                assert answer.status_code == 200
                others += 1
                await asyncio.sleep(0.05)
            # The kernel itself ends the wait after 45 s.
            assert time.monotonic() - began < 30
            assert others > 3
            for task in hung:
                assert "stuck.h5" in refused(task.result(), 503)
            began = time.monotonic()
            refused(
                await client.get("/h5grove/meta", params={"file": str(stuck)}),
                503,
                "storage-not-answering",
            )
            assert time.monotonic() - began < 7, "a file that hung is not tried at once again"
    finally:
        os.close(descriptor)


# -- The program --------------------------------------------------------------------------------


def test_it_starts_in_two_seconds_and_rests_below_150_mib(folder, scan):
    with running_dataserver(folder / "inside") as server:
        for _ in range(3):
            server.get("/h5grove/meta", file=scan)
            server.get("/slice", path=scan, slice="0")
        main = psutil.Process(server.process.pid)
        # Shared pages once: what the container is charged with.
        resting = sum(
            process.memory_full_info().pss for process in (main, *main.children(recursive=True))
        )
        assert resting < 150 * 1024 * 1024
        assert server.started_in < 2 or os.getloadavg()[0] > 2 * (os.cpu_count() or 1)


def test_its_socket_is_for_whoever_may_enter_its_folder(server):
    assert server.socket.stat().st_mode & 0o777 == 0o666


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_cleanly_and_takes_everything_with_it(folder, scan, number):
    with running_dataserver(folder / "inside") as server:
        server.get("/slice", path=scan, slice="0")
        processes = psutil.Process(server.process.pid).children(recursive=True)
        assert len(processes) >= 3
        server.process.send_signal(number)
        assert server.process.wait(20) == 0
        assert not server.socket.exists()
        _, alive = psutil.wait_procs(processes, timeout=5)
        assert not alive


def test_nothing_outlives_a_killed_server(folder, scan):
    with running_dataserver(folder / "inside") as server:
        server.get("/slice", path=scan, slice="0")
        processes = psutil.Process(server.process.pid).children(recursive=True)
        server.process.kill()
        _, alive = psutil.wait_procs(processes, timeout=5)
        assert not alive


def test_a_socket_left_behind_is_replaced_and_one_in_use_is_not(folder, server, scan):
    environment = {
        "DATASERVER_LISTEN": f"unix:{server.socket}",
        "DATA_ROOTS": str(folder / "inside"),
        "DATASERVER_MAX_BYTES": "1000",
        "PATH": os.environ["PATH"],
    }
    second = subprocess.run(
        [sys.executable, "-m", "savu_dataserver"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert second.returncode == 78
    assert "another program" in second.stderr
    assert server.get("/h5grove/meta", file=scan).status_code == 200


def test_it_serves_on_an_address_too(folder, scan):
    import socket

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    listen = {"DATASERVER_LISTEN": f"127.0.0.1:{port}"}
    process = subprocess.Popen(
        [sys.executable, "-m", "savu_dataserver"],
        env={
            **listen,
            "DATA_ROOTS": str(folder / "inside"),
            "DATASERVER_MAX_BYTES": str(MAX_BYTES),
            "PATH": os.environ["PATH"],
        },
    )
    try:
        with httpx.Client(transport=httpx.HTTPTransport(retries=8), timeout=30) as client:
            answer = client.get(f"http://127.0.0.1:{port}/info", params={"path": scan})
        assert answer.text.startswith("/entry1/tomo/data")
    finally:
        process.terminate()
        assert process.wait(10) == 0


def test_numbers_are_never_pickled_between_its_processes(server, scan):
    """A worker reads strangers' files: what it sends is bytes with a length, nothing to execute."""
    from savu_dataserver import wire

    head = wire.frame(wire.TASK, {"kind": "meta"})
    assert struct.unpack("!cI", head[:5]) == (b"T", len(head) - 5)
    assert head[5:] == b'{"kind": "meta"}'
