"""What an open page is told about the end of its session."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from savu_spawner.hub_pages import how_it_ended

ENDED = {"when": "2026-03-02T03:04:05+00:00", "reason": "It was idle."}


@pytest.mark.parametrize("pending", [None, "stop"])
def test_end_is_told_as_soon_as_it_has_begun(pending: str | None) -> None:
    assert how_it_ended(SimpleNamespace(ready=False, pending=pending, ended=ENDED)) == ENDED


@pytest.mark.parametrize(("ready", "pending"), [(True, None), (False, "spawn"), (False, "check")])
def test_earlier_end_is_not_told_of_a_session_that_runs_or_starts(
    ready: bool, pending: str | None
) -> None:
    assert how_it_ended(SimpleNamespace(ready=ready, pending=pending, ended=ENDED)) is None


def test_nothing_is_told_of_a_server_that_was_never_there_or_is_another_spawners() -> None:
    assert how_it_ended(None) is None
    assert how_it_ended(SimpleNamespace(ready=False, pending=None)) is None
