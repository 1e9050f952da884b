"""Paths that users give: inside the data roots, or refused."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest
from savu_api.paths import DataRoots
from savu_api.problems import Problem


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "data" / "visit").mkdir(parents=True)
    (tmp_path / "data" / "visit" / "scan.nxs").write_bytes(b"scan")
    (tmp_path / "database").mkdir()
    (tmp_path / "secret").write_bytes(b"secret")
    return tmp_path / "data"


@pytest.fixture
def roots(root: Path) -> DataRoots:
    return DataRoots((root,))


def refusal(roots: DataRoots, given: str) -> tuple[int, str]:
    with pytest.raises(Problem) as caught:
        roots.resolve(given)
    assert len(caught.value.detail) < 600
    return caught.value.status, caught.value.code


def open_descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_a_path_inside_is_itself(roots: DataRoots, root: Path) -> None:
    assert roots.resolve(f"{root}/visit/scan.nxs") == root / "visit" / "scan.nxs"
    assert roots.resolve(f"{root}//visit/./new.nxs") == root / "visit" / "new.nxs"
    assert roots.resolve(f"{root}/") == root


@pytest.mark.parametrize(
    "tail", ["/../secret", "/visit/../../secret", "base/x", "/visit/../../database", "/.."]
)
def test_climbing_out_is_refused(roots: DataRoots, root: Path, tail: str) -> None:
    assert refusal(roots, f"{root}{tail}") == (403, "outside-data-roots")


def test_links_are_followed_before_the_check(roots: DataRoots, root: Path) -> None:
    (root / "out").symlink_to(root.parent / "secret")
    (root / "up").symlink_to("..")
    (root / "in").symlink_to(root / "visit")
    assert refusal(roots, f"{root}/out") == (403, "outside-data-roots")
    assert refusal(roots, f"{root}/up/secret") == (403, "outside-data-roots")
    assert roots.resolve(f"{root}/in/scan.nxs") == root / "visit" / "scan.nxs"
    # As the file system goes, and not as the text reads.
    assert refusal(roots, f"{root}/in/../../secret") == (403, "outside-data-roots")


@pytest.mark.parametrize(
    ("given", "status", "code"),
    [
        ("", 400, "not-absolute"),
        ("visit/scan.nxs", 400, "not-absolute"),
        ("~/scan.nxs", 400, "not-absolute"),
        ("file:///etc/passwd", 400, "not-absolute"),
        ("/data/a\0b", 400, "invalid-path"),
        ("/data/\ud800", 400, "invalid-path"),
        ("/data/" + "a" * 10_000, 400, "name-too-long"),
        ("/data/" + "é" * 200, 400, "name-too-long"),
        ("/data" + "/a" * 5_000, 400, "name-too-long"),
    ],
)
def test_what_can_be_no_path_is_refused(
    roots: DataRoots, given: str, status: int, code: str
) -> None:
    assert refusal(roots, given) == (status, code)


def test_a_root_that_is_a_link_keeps_the_name_users_know(root: Path, tmp_path: Path) -> None:
    (tmp_path / "dls").symlink_to(root)
    roots = DataRoots((tmp_path / "dls",))
    assert roots.resolve(f"{tmp_path}/dls/visit") == tmp_path / "dls" / "visit"
    assert roots.parent(tmp_path / "dls" / "visit") == tmp_path / "dls"
    assert roots.parent(tmp_path / "dls") is None


def test_the_innermost_of_nested_roots_decides(root: Path) -> None:
    roots = DataRoots((root, root / "visit"))
    assert roots.resolve(f"{root}/visit/scan.nxs") == root / "visit" / "scan.nxs"
    assert roots.resolve(f"{root}/other") == root / "other"


def test_a_file_swapped_for_a_link_after_the_check_is_not_opened(
    roots: DataRoots, root: Path
) -> None:
    path = roots.resolve(f"{root}/visit/scan.nxs")
    path.unlink()
    path.symlink_to(root.parent / "secret")
    with pytest.raises(Problem) as caught, roots.open_file(path):
        pass
    assert caught.value.code == "link-loop"


def test_a_folder_swapped_for_a_link_after_the_check_is_not_entered(
    roots: DataRoots, root: Path
) -> None:
    (root.parent / "database" / "scan.nxs").write_bytes(b"secret")
    path = roots.resolve(f"{root}/visit/scan.nxs")
    (root / "visit").rename(root / "moved")
    (root / "visit").symlink_to(root.parent / "database")
    descriptors = open_descriptors()
    with pytest.raises(Problem) as caught, roots.open_file(path):
        pass
    assert caught.value.code == "outside-data-roots"
    with pytest.raises(Problem), roots.open_folder(path.parent):
        pass
    assert open_descriptors() == descriptors


def test_a_pipe_does_not_block_and_is_refused(roots: DataRoots, root: Path) -> None:
    os.mkfifo(root / "pipe.nxs")
    done = threading.Event()

    def attempt() -> None:
        with pytest.raises(Problem) as caught, roots.open_file(root / "pipe.nxs"):
            pass
        assert caught.value.code == "not-a-file"
        done.set()

    threading.Thread(target=attempt, daemon=True).start()
    assert done.wait(10)
