"""Headless Chromium before a real hub with real sessions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect, sync_playwright

from demo.bed import Bed
from demo.story import Place
from tests.support.browser import CHROMIUM_OPTIONS, Tab
from tests.support.needs import needs_program
from tests.support.people import ROOT, programs_of, running_bed

# What is waited for is an event, however long a busy machine takes.
expect.set_options(timeout=60_000)

SCREENSHOTS = ROOT / "test-results" / "screenshots"


@pytest.fixture(scope="module")
def bed() -> Iterator[Bed]:
    with running_bed() as bed:
        yield bed


# Not for the whole session: while Playwright is active, its event loop is in everybody's way.
@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    program = needs_program("chromium", "chromium-browser")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=CHROMIUM_OPTIONS)
        yield browser
        browser.close()


@pytest.fixture
def tab_of(
    chromium: Browser, bed: Place, request: pytest.FixtureRequest, tmp_path: Path
) -> Iterator[object]:
    """``tab_of("ada")`` opens a browser profile of its own, logged in, on the control panel."""
    opened: list[Tab] = []

    def open_tab(name: str) -> Tab:
        context = chromium.new_context(viewport={"width": 1400, "height": 900})
        context.set_default_timeout(60_000)
        tab = Tab(bed, name, context.new_page(), SCREENSHOTS)
        opened.append(tab)
        tab.log_in()
        return tab

    yield open_tab
    for tab in opened:
        tab.page.context.close()


@pytest.fixture
def remains_of(bed: Bed) -> Callable[[str], Callable[[], bool]]:
    """``remains_of("ada")`` notes what her session is now, for asking whether any of it runs."""

    def note(name: str) -> Callable[[], bool]:
        programs = programs_of(bed, name)
        return lambda: any(program.is_running() for program in programs.values())

    return note
