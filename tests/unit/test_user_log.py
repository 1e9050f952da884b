"""Progress is what Savu's user.log says, and only ever grows."""

from hypothesis import given
from hypothesis import strategies as st
from savu_api.jobs.user_log import Progress, UserLog, progress, read_line

RUN = """\
2026-11-22 10:32:22,576 - User Log Started
2026-11-22 10:32:22,577 - User Log location is '/d/out/run_log/user.log'
2026-11-22 10:32:22,901 - Plugin list check complete!
2026-11-22 10:32:22,950 - *Running the DarkFlatFieldCorrection plugin*
2026-11-22 10:32:22,960 - DarkFlatFieldCorrection -   0% complete
2026-11-22 10:32:23,010 - DarkFlatFieldCorrection -  50% complete
2026-11-22 10:32:23,110 - DarkFlatFieldCorrection - 100% complete
2026-11-22 10:32:23,111 - DarkFlatFieldCorrection - Nothing to Report
2026-11-22 10:32:23,150 - *Running the AstraReconCpu plugin*
2026-11-22 10:32:23,160 - AstraReconCpu -   0% complete
2026-11-22 10:32:23,190 - AstraReconCpu -  42% complete
2026-11-22 10:32:23,310 - AstraReconCpu - 100% complete
2026-11-22 10:32:23,400 - ***********************
2026-11-22 10:32:23,401 - * Processing Complete *
2026-11-22 10:32:23,402 - ***********************
""".splitlines()


def read(lines: list[str]) -> UserLog:
    log = UserLog()
    for line in lines:
        log = read_line(log, line)
    return log


def test_progress_counts_the_steps_done_and_the_percentage_of_the_one_that_runs():
    halfway = progress(read(RUN[:6]), steps=2)
    assert halfway == Progress(25.0, "DarkFlatFieldCorrection", 50.0, 1, 2)

    second = progress(read(RUN[:11]), steps=2)
    assert second == Progress(71.0, "AstraReconCpu", 42.0, 2, 2)


def test_a_log_of_a_whole_run_is_complete_at_100():
    log = read(RUN)
    assert log.complete
    assert progress(log, steps=2) == Progress(100.0, "AstraReconCpu", 100.0, 2, 2)


def test_savus_main_branch_says_complete_with_a_time():
    assert read(["2026-11-22 10:32:23,401 - * Processing Complete in 0.6 seconds *"]).complete


def test_a_run_ended_by_the_killsignal_is_not_complete():
    log = read([*RUN[:6], "2026-11-22 10:32:23,401 - * Processing interrupted by killsignal *"])
    assert log.end == "interrupted"
    assert not log.complete
    assert progress(log, steps=2).percent == 25.0


def test_a_plugin_cannot_end_the_run_with_its_own_message():
    log = read(["2026-11-22 10:32:23,401 - Evil - * Processing Complete *"])
    assert log.end == ""


def test_a_plugin_that_counts_each_transfer_from_0_does_not_go_back():
    lines = [RUN[3], *(f"x - DarkFlatFieldCorrection - {n:3}% complete" for n in (0, 90, 0, 10))]
    stamped = [line.replace("x - ", "2026-11-22 10:32:22,960 - ") for line in lines]
    assert read(stamped).plugin_percent == 90.0


def test_a_step_repeated_more_often_than_listed_stays_at_100():
    log = read([RUN[8]] * 7)
    assert progress(log, steps=2).percent == 100.0
    assert progress(log, steps=2).step == 2


def test_a_list_of_loaders_alone_has_no_percentage_to_divide_by():
    assert progress(read(RUN[:6]), steps=0).percent == 0.0


@given(st.lists(st.sampled_from(RUN) | st.text(max_size=60), max_size=60), st.integers(0, 5))
def test_progress_never_goes_back_and_stays_within_100(lines: list[str], steps: int):
    log, before = UserLog(), Progress(steps=steps)
    for line in lines:
        log = read_line(log, line)
        after = progress(log, steps, before)
        assert before.percent <= after.percent <= 100
        assert 0 <= after.plugin_percent <= 100
        before = after
