"""``make demo STORY=1``: the tutorial's steps, over HTTP, with the services' real work."""

from __future__ import annotations

from demo.bed import Bed
from demo.story import Story
from tests.support.people import stop_session


def test_the_tutorials_steps_go_as_told(bed: Bed) -> None:
    told: list[str] = []
    picture = Story(bed, told.append).play()
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert any("100 %" in line for line in told)
    for name in ("alan", "grace"):
        stop_session(bed, name)
