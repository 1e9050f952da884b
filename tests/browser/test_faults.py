"""What a person sees when a part of their session fails under the open page."""

from __future__ import annotations

import re
import signal
from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from demo.bed import Bed
from tests.support.browser import Tab
from tests.support.people import programs_of, wait_until

Open = Callable[[str], Tab]


@pytest.fixture
def scan(bed: Bed, tab_of: Open) -> Tab:
    """Ada's tab with her scan open."""
    tab = tab_of("ada")
    tab.start_session()
    tab.go_to(f"{bed.folder}/data/cm10001-1/raw/vessel_00001.nxs")
    tab.picture_is_drawn(re.compile("Projection|Frame"))
    return tab


def test_restart_of_the_data_server_is_said_and_the_picture_comes_by_itself(
    bed: Bed, scan: Tab
) -> None:
    dataserver = programs_of(bed, "ada")["dataserver"]
    supervisor = dataserver.parent()
    assert supervisor is not None
    # Frozen, it cannot start the data server again before the page has asked for something.
    supervisor.send_signal(signal.SIGSTOP)
    try:
        dataserver.kill()
        wait_until(lambda: dataserver.status() == "zombie")
        scan.choose("Sinogram")
        expect(scan.page.get_by_text("The data server is starting again")).to_be_visible()
        scan.keep("9-data-server-restarting")
    finally:
        supervisor.send_signal(signal.SIGCONT)
    again = scan.page.get_by_role("button", name="Try again")
    drawn = scan.page.get_by_role("img", name=re.compile("Sinogram")).locator("visible=true")
    expect(again.or_(drawn).first).to_be_visible()
    if again.is_visible():
        again.click()
    scan.picture_is_drawn(re.compile("Sinogram"))


def test_viewer_that_cannot_be_fetched_is_told_and_can_be_tried_again(scan: Tab) -> None:
    viewer = re.compile(r"/assets/FileViewer-.*\.js")
    scan.page.route(viewer, lambda route: route.abort())
    scan.choose("All contents")
    expect(scan.page.get_by_role("alert")).to_contain_text("Opening the viewer did not work")
    scan.keep("9-viewer-failed")
    scan.page.unroute(viewer)
    scan.page.get_by_role("button", name="Try again").click()
    expect(scan.page.get_by_text("NX Heatmap")).to_be_visible()


@pytest.mark.parametrize("program", ["gate", "web"])
def test_death_of_a_program_is_told_with_its_reason_and_the_session_starts_again(
    bed: Bed, scan: Tab, program: str
) -> None:
    programs_of(bed, "ada")[program].kill()
    dialog = scan.page.get_by_role("dialog", name="Your session has ended")
    expect(dialog).to_contain_text(f"“{program}” was killed", timeout=60_000)
    scan.page.get_by_role("link", name="Start again").click()
    scan.page.wait_for_url(re.compile("/user/ada/"), timeout=60_000)
    expect(scan.page.get_by_role("heading", name="vessel_00001.nxs")).to_be_visible()
