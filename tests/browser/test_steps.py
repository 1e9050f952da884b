"""The tutorial's steps in a browser, by the names that a person reads.

They follow one another, as they do for a person: each continues what the one before left.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from demo.bed import Bed
from demo.story import Place
from tests.support.browser import Tab
from tests.support.needs import needs_root
from tests.support.people import person, wait_until

Open = Callable[[str], Tab]
LIST = "process_lists/sample.nxs"


@pytest.fixture
def visit(bed: Bed) -> str:
    return str(bed.folder / "data" / "cm10001-1")


def test_1_control_panel_offers_a_start_after_logging_in(tab_of: Open) -> None:
    tab = tab_of("ada")
    expect(tab.page.get_by_role("button", name="Start My Server")).to_be_visible()
    tab.keep("1-control-panel")


def test_2_progress_page_tells_in_words_and_moves(tab_of: Open) -> None:
    tab = tab_of("ada")
    tab.page.get_by_role("button", name="Start My Server").click()
    tab.page.wait_for_url(re.compile("/spawn-pending/"))
    bar = tab.page.get_by_role("progressbar")
    expect(bar).to_have_attribute("aria-valuenow", re.compile("[1-9][0-9]"))
    expect(tab.page.locator("#progress-log")).to_contain_text("Looking you up")
    tab.keep("2-progress")
    tab.page.wait_for_url(re.compile("/user/ada/"), timeout=60_000)


def test_3a_scan_is_found_and_looked_at(tab_of: Open, visit: str) -> None:
    tab = tab_of("ada")
    tab.start_session()
    tab.page.get_by_role("button", name="cm10001-1").first.click()
    tab.open_entry("raw")
    tab.open_entry("vessel_00001.nxs")
    tab.picture_is_drawn(re.compile("Frame"))
    tab.keep("3-frames")
    tab.choose("Sinogram")
    tab.picture_is_drawn(re.compile("Sinogram"))
    tab.keep("3-sinogram")
    tab.choose("Metadata")
    expect(tab.page.get_by_role("tabpanel", name="Metadata")).to_contain_text("A vessel")
    tab.keep("3-metadata")
    tab.choose("All contents")
    expect(tab.page.get_by_text("NX Heatmap")).to_be_visible()
    tab.keep("3-all-contents")


def test_3b_absolute_path_opens_and_survives_a_reload(tab_of: Open, visit: str) -> None:
    tab = tab_of("ada")
    tab.start_session()
    tab.go_to(f"{visit}/raw/vessel_00001.nxs")
    expect(tab.page.get_by_role("heading", name="vessel_00001.nxs")).to_be_visible()
    tab.page.reload()
    expect(tab.page.get_by_role("heading", name="vessel_00001.nxs")).to_be_visible()


def test_3c_value_is_changed_saved_and_the_list_run(tab_of: Open, visit: str) -> None:
    tab = tab_of("ada")
    tab.start_session()
    tab.go_to(f"{visit}/raw/vessel_00001.nxs")
    expect(tab.page.get_by_role("heading", name="vessel_00001.nxs")).to_be_visible()
    tab.go_to(f"{visit}/processing/{LIST}")
    tab.set_parameter("RemoveAllRings", "snr", "5.0")
    tab.keep("3-process-list")
    tab.page.get_by_role("button", name="Save", exact=True).click()
    expect(tab.page.get_by_role("button", name="Save", exact=True)).to_be_disabled()
    tab.page.get_by_role("button", name="Run on everything").click()
    state = tab.page.get_by_role("status", name="State of the job")
    expect(state).to_have_text(re.compile("running", re.IGNORECASE))
    tab.keep("3-running")
    expect(state).to_have_text(re.compile("completed", re.IGNORECASE), timeout=900_000)
    tab.picture_is_drawn(re.compile("Reconstructed slice"))
    tab.picture_is_drawn(re.compile("Raw frame"))
    tab.keep("3-result")
    expect(tab.page.get_by_role("note", name="Path of the result")).to_contain_text(
        f"{visit}/processing/"
    )
    with tab.page.expect_download() as download:
        tab.page.get_by_role("link", name="Download result").click()
    assert download.value.suggested_filename == "vessel_00001_processed.nxs"


def test_4_session_list_and_job_are_still_there_after_logging_out_and_in(
    tab_of: Open, visit: str
) -> None:
    tab = tab_of("ada")
    tab.start_session()
    tab.log_out()
    tab.log_in()
    tab.page.goto(f"{tab.bed.url}user/ada/")
    tab.choose("Jobs")
    expect(tab.page.get_by_role("table", name="Jobs")).to_contain_text("Completed")
    tab.go_to(f"{visit}/processing/{LIST}")
    tab.page.get_by_role("button", name=re.compile("RemoveAllRings")).first.click()
    tab.page.get_by_role("button", name="Step 3: RemoveAllRings").click()
    expect(tab.page.get_by_role("textbox", name="snr", exact=True)).to_have_value("5.0")


def test_5a_colleague_opens_the_result_and_saves_over_the_list(tab_of: Open, visit: str) -> None:
    tab = tab_of("alan")
    tab.start_session()
    tab.go_to(f"{visit}/processing")
    folder = tab.page.get_by_role("button", name=re.compile(r"\d{14}_vessel_00001$")).first
    folder.click()
    tab.open_entry("vessel_00001_processed.nxs")
    expect(tab.page.get_by_role("heading", name="vessel_00001_processed.nxs")).to_be_visible()
    tab.keep("5-colleague")
    tab.go_to(f"{visit}/processing/{LIST}")
    tab.set_parameter("RemoveAllRings", "snr", "5.5")
    tab.page.get_by_role("button", name="Save", exact=True).click()
    expect(tab.page.get_by_role("button", name="Save", exact=True)).to_be_disabled()


def test_5b_stranger_enters_neither_the_session_nor_the_visit(tab_of: Open, visit: str) -> None:
    needs_root()
    tab = tab_of("grace")
    answer = tab.page.goto(f"{tab.bed.url}user/ada/")
    assert answer is not None
    assert answer.status in (403, 404)
    tab.keep("5-stranger")
    tab.start_session()
    tab.go_to(f"{visit}/raw")
    expect(tab.page.get_by_text("does not let you").first).to_be_visible()
    tab.keep("5-stranger-visit")


def test_6_stopped_session_is_told_and_offers_to_start_again(
    bed: Place, tab_of: Open, remains_of: Callable[[str], Callable[[], bool]]
) -> None:
    ada = tab_of("ada")
    ada.start_session()
    remains = remains_of("ada")
    admin = tab_of("hubadmin")
    admin.page.goto(f"{bed.url}hub/admin")
    row = admin.page.get_by_role("row", name=re.compile(r"\bada\b")).first
    admin.keep("6-admin")
    row.get_by_role("button", name="Stop Server").click()
    dialog = ada.page.get_by_role("dialog", name="Your session has ended")
    expect(dialog).to_contain_text("by an administrator", timeout=60_000)
    ada.keep("6-ended")
    wait_until(lambda: not remains())
    ada.page.get_by_role("link", name="Start again").click()
    ada.page.wait_for_url(re.compile("/user/ada/"), timeout=60_000)


@pytest.mark.parametrize("name", ["backup", "toor", "halfway"])
def test_7_refused_account_reads_why_and_whom_to_ask(tab_of: Open, name: str) -> None:
    tab = tab_of(name)
    expect(tab.page.get_by_text("helpdesk@facility.example")).to_be_visible()
    tab.keep(f"7-{name}")


def test_unsaved_change_survives_the_end_of_the_session(
    bed: Place, tab_of: Open, visit: str
) -> None:
    ada = tab_of("ada")
    ada.start_session()
    ada.go_to(f"{visit}/processing/{LIST}")
    ada.set_parameter("RemoveAllRings", "snr", "4.25")
    person(bed, "hubadmin").hub("DELETE", "users/ada/server")
    ada.page.get_by_role("link", name="Start again").click(timeout=60_000)
    ada.page.wait_for_url(re.compile("/user/ada/"), timeout=60_000)
    ada.go_to(f"{visit}/processing/{LIST}")
    ada.page.get_by_role("button", name="Step 3: RemoveAllRings").click()
    expect(ada.page.get_by_role("textbox", name="snr", exact=True)).to_have_value("4.25")
    ada.keep("8-unsaved-change-restored")
