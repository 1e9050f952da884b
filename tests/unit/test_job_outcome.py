"""How a run ended is told in a sentence, and only Savu's own word counts as success."""

import pytest
from savu_api.jobs.outcome import judge, last_error
from savu_api.jobs.user_log import UserLog

COMPLETE = UserLog(begun=2, plugin="TiffSaver", plugin_percent=100.0, end="complete")
HALFWAY = UserLog(begun=2, plugin="VoCentering", plugin_percent=40.0)
TRACEBACK = [
    "VoCentering -  40% complete",
    "Traceback (most recent call last):",
    '  File "/site/savu/core/plugin_runner.py", line 168, in __run_plugin',
    "    plugin._run_plugin(self.exp, self)",
    "ValueError: the centre is outside of the data",
    "",
]


def judged(**facts):
    return judge(**{"output": [], "cancelled": False, "memory_ran_out": False, **facts})


def test_exit_code_0_and_the_last_line_of_the_log_are_success():
    outcome = judged(exit_code=0, log=COMPLETE)
    assert (outcome.state, outcome.message, outcome.incomplete) == ("completed", "", False)


def test_exit_code_0_alone_is_not_success():
    outcome = judged(exit_code=0, log=HALFWAY)
    assert outcome.state == "failed"
    assert "without saying that the processing is complete" in outcome.message
    assert outcome.incomplete


def test_a_job_that_was_done_before_the_cancel_came_is_completed():
    assert judged(exit_code=0, log=COMPLETE, cancelled=True).state == "completed"


@pytest.mark.parametrize("exit_code", [-15, -9, 143, 0, 1])
def test_what_the_user_cancelled_is_cancelled_however_it_ended(exit_code: int):
    outcome = judged(exit_code=exit_code, log=HALFWAY, cancelled=True, memory_ran_out=True)
    assert (outcome.state, outcome.message) == ("cancelled", "Cancelled while VoCentering ran.")
    assert outcome.incomplete


def test_a_killsignal_that_somebody_else_left_is_a_cancel():
    assert judged(exit_code=0, log=UserLog(end="interrupted")).state == "cancelled"


def test_a_failure_names_the_plugin_and_the_last_line_of_its_traceback():
    outcome = judged(exit_code=1, log=HALFWAY, output=TRACEBACK)
    assert outcome.message == "VoCentering failed: ValueError: the centre is outside of the data"


def test_a_failure_before_the_first_step_says_so():
    outcome = judged(exit_code=1, log=UserLog(), output=["savu: error: no such option: -f"])
    assert outcome.message == (
        "The engine failed before its first step: savu: error: no such option: -f"
    )


def test_a_line_of_the_log_is_told_without_its_time():
    line = "2026-11-24 02:44:12,160 - Plugin list check failed: step 3 has no centre."
    assert judged(exit_code=1, log=UserLog(), output=["savu", line, ""]).message == (
        "The engine failed before its first step: Plugin list check failed: step 3 has no centre."
    )


def test_the_error_of_the_last_traceback_counts():
    first = ["Traceback (most recent call last):", "  File x", "KeyError: 'angles'", ""]
    during = "During handling of the above exception, another exception occurred:"
    assert last_error([*first, during, *TRACEBACK]) == TRACEBACK[4]
    assert last_error(["no error here"]) == ""


@pytest.mark.parametrize("exit_code", [-9, 137])
def test_a_kill_that_nobody_asked_for_was_probably_the_memory(exit_code: int):
    message = judged(exit_code=exit_code, log=HALFWAY).message
    assert message.startswith("The engine was killed while VoCentering ran, probably because the m")


@pytest.mark.parametrize(
    ("exit_code", "output"),
    [
        (-9, []),
        (
            1,
            [
                "Traceback (most recent call last):",
                "  x",
                "numpy.core._exceptions.MemoryError: 9 GB",
            ],
        ),
        (1, ["Traceback (most recent call last):", "  x", "concurrent.BrokenProcessPool: a child"]),
    ],
)
def test_where_the_kernel_counted_a_kill_it_was_the_memory(exit_code: int, output: list[str]):
    outcome = judged(exit_code=exit_code, log=HALFWAY, output=output, memory_ran_out=True)
    assert outcome.message.startswith("The memory ran out while VoCentering ran.")
    assert outcome.state == "failed"


def test_an_error_of_its_own_is_told_although_another_program_ran_out_of_memory():
    outcome = judged(exit_code=1, log=HALFWAY, output=TRACEBACK, memory_ran_out=True)
    assert "outside of the data" in outcome.message


def test_a_crash_names_its_signal():
    assert judged(exit_code=-11, log=HALFWAY).message == (
        "The engine crashed while VoCentering ran (SIGSEGV)."
    )


def test_an_engine_that_cannot_be_started_left_nothing():
    outcome = judged(exit_code=None, log=UserLog(), not_started="No such file or directory")
    assert outcome.message == "The engine could not be started: No such file or directory"
    assert not outcome.incomplete
