"""The kernel's own counters tell that the memory ran out."""

from pathlib import Path

import pytest
from savu_api.jobs.memory import count_kills, grew


@pytest.fixture
def machine(tmp_path: Path) -> tuple[Path, Path]:
    proc, cgroups = tmp_path / "proc", tmp_path / "cgroup"
    (proc / "self").mkdir(parents=True)
    cgroups.mkdir()
    (proc / "vmstat").write_text("pgfault 5\noom_kill 2\n")
    return proc, cgroups


def test_a_kill_in_the_control_group_of_version_2_is_counted(machine: tuple[Path, Path]):
    proc, cgroups = machine
    (proc / "self" / "cgroup").write_text("0::/pod/api\n")
    events = cgroups / "pod" / "api" / "memory.events"
    events.parent.mkdir(parents=True)
    events.write_text("low 0\nhigh 3\nmax 9\noom 1\noom_kill 0\n")
    before = count_kills(proc, cgroups)
    events.write_text("low 0\nhigh 3\nmax 9\noom 2\noom_kill 1\n")
    assert grew(before, count_kills(proc, cgroups))


def test_a_kill_in_the_control_group_of_version_1_is_counted(machine: tuple[Path, Path]):
    proc, cgroups = machine
    (proc / "self" / "cgroup").write_text("9:name=systemd:/\n4:cpu,memory:/job\n0::/\n")
    control = cgroups / "memory" / "job" / "memory.oom_control"
    control.parent.mkdir(parents=True)
    control.write_text("oom_kill_disable 0\nunder_oom 0\noom_kill 4\n")
    before = count_kills(proc, cgroups)
    control.write_text("oom_kill_disable 0\nunder_oom 0\noom_kill 5\n")
    assert grew(before, count_kills(proc, cgroups))


def test_within_a_container_the_group_is_the_root(machine: tuple[Path, Path]):
    proc, cgroups = machine
    (proc / "self" / "cgroup").write_text("0::/kubepods/burstable/pod1/abc\n")
    (cgroups / "memory.events").write_text("oom 0\noom_kill 0\n")
    before = count_kills(proc, cgroups)
    (cgroups / "memory.events").write_text("oom 1\noom_kill 1\n")
    assert grew(before, count_kills(proc, cgroups))


def test_nothing_grew_where_nothing_was_killed_or_nothing_can_be_read(
    machine: tuple[Path, Path], tmp_path: Path
):
    proc, cgroups = machine
    counted = count_kills(proc, cgroups)
    assert counted
    assert not grew(counted, count_kills(proc, cgroups))
    assert count_kills(tmp_path / "none", tmp_path / "none") == {}
    assert not grew({}, counted)


def test_this_machine_has_a_counter():
    assert count_kills()
