"""Logs are read as they grow, and from their end, in bounded memory."""

from pathlib import Path

import pytest
from savu_api.jobs.follow import LogFollower, last_lines


def test_only_whole_new_lines_are_given(tmp_path: Path):
    path = tmp_path / "user.log"
    follower = LogFollower(path)
    assert follower.new_lines() == []
    path.write_bytes(b"one\ntw")
    assert follower.new_lines() == ["one"]
    assert follower.new_lines() == []
    with path.open("ab") as stream:
        stream.write(b"o\nthree\n")
    assert follower.new_lines() == ["two", "three"]


def test_a_log_that_starts_anew_is_read_anew(tmp_path: Path):
    path = tmp_path / "user.log"
    follower = LogFollower(path)
    path.write_text("a first line of an old log\n")
    assert follower.new_lines() == ["a first line of an old log"]
    path.write_text("new\n")
    assert follower.new_lines() == ["new"]


def test_bytes_that_are_no_text_are_no_error(tmp_path: Path):
    path = tmp_path / "user.log"
    path.write_bytes(b"\xff\xfe 42% complete\n")
    assert LogFollower(path).new_lines() == ["\ufffd\ufffd 42% complete"]
    assert last_lines(path, 5)[0] == ["\ufffd\ufffd 42% complete"]


def test_the_last_lines_say_whether_there_were_more(tmp_path: Path):
    path = tmp_path / "user.log"
    path.write_text("one\ntwo\nthree\n")
    assert last_lines(path, 2) == (["two", "three"], True)
    assert last_lines(path, 3) == (["one", "two", "three"], False)


def test_of_a_huge_log_only_its_end_is_read(tmp_path: Path):
    path = tmp_path / "user.log"
    with path.open("wb") as stream:
        stream.truncate(10**10)
        stream.seek(0, 2)
        stream.write(b"\nlast\n")
    assert last_lines(path, 10)[0][-1] == "last"


def test_a_log_that_is_not_there_is_an_error(tmp_path: Path):
    with pytest.raises(FileNotFoundError):
        last_lines(tmp_path / "user.log", 5)
