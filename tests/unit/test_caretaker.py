"""What the caretaker removes, and what it leaves alone."""

from __future__ import annotations

from pathlib import Path

import psutil

from savu_spawner.caretaker import Found, is_too_much, judge, look

HERE = psutil.Process()


def found(name: str, *, running: bool = True, age: float = 1000, session: str = "") -> Found:
    return Found(Path(name), (session or name, ""), HERE if running else None, age)


def removed(*items: Found, known: set[str] | None, before: set[str] | None = None) -> list[str]:
    sessions = None if known is None else {(name, "") for name in known}
    unknown_before = {Path(name) for name in before or set()}
    return [f"{f.found.path} {f.why}" for f in judge(list(items), sessions, unknown_before, 60)]


def test_known_running_session_stays() -> None:
    assert removed(found("ada"), known={"ada"}) == []


def test_dead_supervisors_session_goes_even_if_the_hub_knows_it() -> None:
    assert removed(found("ada", running=False), known={"ada"}) == ["ada dead"]


def test_dead_supervisors_session_goes_even_if_the_hub_is_silent() -> None:
    assert removed(found("ada", running=False), known=None) == ["ada dead"]


def test_unknown_session_goes_at_the_second_look() -> None:
    assert removed(found("ada"), known=set()) == []
    assert removed(found("ada"), known=set(), before={"ada"}) == ["ada unknown"]


def test_silent_hub_removes_nothing_that_runs() -> None:
    assert removed(found("ada"), known=None, before={"ada"}) == []


def test_session_that_is_being_started_is_left_alone() -> None:
    assert removed(found("ada", running=False, age=5), known=set(), before={"ada"}) == []


def test_most_sessions_unknown_is_not_believed() -> None:
    items = [found(name) for name in ("a", "b", "c", "d")]
    findings = judge(items, {("d", "")}, {item.path for item in items}, 60)
    assert len(findings) == 3
    assert is_too_much(findings, items)
    findings = judge(items, {("c", ""), ("d", "")}, {item.path for item in items}, 60)
    assert not is_too_much(findings, items)


def test_folder_without_a_sound_record_counts_as_dead(tmp_path: Path) -> None:
    (tmp_path / "abc" / "control").mkdir(parents=True)
    (tmp_path / "abc" / "control" / "session.json").write_text("{")
    [item] = look(tmp_path)
    assert item.supervisor is None
    assert item.session is None
