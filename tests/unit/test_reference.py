"""The reference is what the options' help says, and the help is of use."""

from __future__ import annotations

from pathlib import Path

import pytest

from dev.reference import CLASSES, PAGES, own_traits

OPTIONS = [
    pytest.param(cls, name, id=f"{cls.__name__}.{name}")
    for cls in CLASSES
    for name in own_traits(cls)
]


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_the_reference_is_made_from_the_help(path: Path) -> None:
    assert path.read_text() == PAGES[path](), "run: python dev/reference.py"


@pytest.mark.parametrize(("cls", "name"), OPTIONS)
def test_every_option_says_what_it_does_and_gives_an_example(cls: type, name: str) -> None:
    text = own_traits(cls)[name].help
    assert "c." in text
    assert f".{name}" in text
    assert len(text.split()) > 10
