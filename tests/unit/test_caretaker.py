"""What the caretaker removes, and what it leaves alone."""

from __future__ import annotations

import asyncio
import logging
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from kubernetes_asyncio.client import ApiClient, Configuration, CoreV1Api
from traitlets.config import Config

from savu_spawner.beside_notebooks import SavuOrNotebookSpawner
from savu_spawner.caretaker.application import Caretaker, Sweep, set_when_gone
from savu_spawner.caretaker.judgement import Found, Session, is_too_much, judge, unknown
from savu_spawner.caretaker.local import look, remove
from savu_spawner.caretaker.pods import PodSessions, configured_pods, found_of
from savu_spawner.local import LocalSavuSpawner
from savu_spawner.pod import labels
from savu_spawner.pod.labels import KEEP_UNTIL, with_session_labels
from savu_spawner.spawner import SavuSpawner
from tests.support.kube_api import NAMESPACE, KubeApi, kube_api
from tests.support.kubernetes import kubeconfig

LOG = logging.getLogger("caretaker")
NOW = datetime(2026, 1, 2, tzinfo=UTC)


def found(name: str, *, over: bool = False, age: float = 1000) -> Found:
    return Found(name, (name, ""), age, *(("over", "dead") if over else ()))


def removed(*items: Found, known: set[str] | None, before: set[str] | None = None) -> list[str]:
    sessions = None if known is None else {(name, "") for name in known}
    return [
        f"{f.found.key} {'unknown' if f.is_unknown else f.why}"
        for f in judge(items, sessions, before or set(), 60)
    ]


# -- Judgement ------------------------------------------------------------------------------------


def test_known_running_session_stays() -> None:
    assert removed(found("ada"), known={"ada"}, before={"ada"}) == []


def test_session_that_is_over_goes_even_if_the_hub_knows_it_or_is_silent() -> None:
    for known in ({"ada"}, set(), None):
        assert removed(found("ada", over=True), known=known) == ["ada dead"]


def test_unknown_session_goes_at_the_second_look() -> None:
    assert removed(found("ada"), known=set()) == []
    assert removed(found("ada"), known=set(), before={"ada"}) == ["ada unknown"]


def test_silent_hub_removes_nothing_that_runs() -> None:
    assert removed(found("ada"), known=None, before={"ada"}) == []


def test_session_that_is_being_started_is_left_alone() -> None:
    assert removed(found("ada", over=True, age=5), known=set(), before={"ada"}) == []


def test_most_sessions_unknown_is_not_believed() -> None:
    items = [found(name) for name in ("a", "b", "c", "d")]
    everything = {item.key for item in items}
    findings = judge(items, {("d", "")}, everything, 60)
    assert len(findings) == 3
    assert is_too_much(findings, items)
    findings = judge(items, {("c", ""), ("d", "")}, everything, 60)
    assert not is_too_much(findings, items)


def test_what_is_over_does_not_hide_that_most_running_sessions_would_go() -> None:
    items = [found(name) for name in ("a", "b", "c")]
    items += [found(f"dead-{number}", over=True) for number in range(20)]
    assert is_too_much(judge(items, set(), {"a", "b", "c"}, 60), items)


NAMES = st.sampled_from(["ada", "bob", "eve", "grace"])
SESSIONS: st.SearchStrategy[Session] = st.tuples(NAMES, st.sampled_from(["", "second"]))
OWNERS = st.builds(
    labels.Owner,
    NAMES,
    st.sampled_from(["", "second"]),
    st.sampled_from([None, "i12", "i13"]),
)


def pod_of(owner: labels.Owner, uid: str = "uid", age: float = 1000) -> dict[str, Any]:
    annotations = {labels.USERNAME: owner.user}
    if owner.server:
        annotations[labels.SERVERNAME] = owner.server
    return {
        "metadata": {
            "name": f"pod-{uid}",
            "namespace": NAMESPACE,
            "uid": uid,
            "creationTimestamp": (NOW - timedelta(seconds=age)).isoformat(),
            "labels": with_session_labels({}, owner.hub_id),
            "annotations": annotations,
        },
        "spec": {"containers": [{"name": "api", "image": "savu-api:1"}]},
        "status": {"phase": "Running"},
    }


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(st.tuples(OWNERS, st.floats(0, 1000), st.booleans()), max_size=12),
    st.none() | st.sets(SESSIONS),
    st.integers(0, 1000),
)
def test_only_old_unknown_pods_of_this_hub_are_ever_removed(
    described: list[tuple[labels.Owner, float, bool]], known: set[Session] | None, grace: int
) -> None:
    pods = {
        f"uid-{number}": (owner, age, seen) for number, (owner, age, seen) in enumerate(described)
    }
    sessions = PodSessions(None, "i12", NAMESPACE, LOG)  # type: ignore[arg-type]
    here = [
        found_of(pod, NOW)
        for uid, (owner, age, _) in pods.items()
        if sessions.is_ours(pod := pod_of(owner, uid, age))
    ]
    before = {uid for uid, (_, _, seen) in pods.items() if seen}
    going = {finding.found.key for finding in judge(here, known, before, grace)}
    assert going == {
        uid
        for uid, (owner, age, seen) in pods.items()
        if owner.hub_id == "i12"
        and seen
        and age >= grace
        and known is not None
        and (owner.user, owner.server) not in known
    }
    assert going <= before
    assert unknown(here, known) >= going


@pytest.mark.parametrize("spoilt", [labels.MANAGED_BY, labels.MAKER, labels.HUB_ID])
def test_a_pod_that_lacks_a_label_is_not_this_hubs(spoilt: str) -> None:
    pod = pod_of(labels.Owner("ada", "", "i12"))
    sessions = PodSessions(None, "i12", NAMESPACE, LOG)  # type: ignore[arg-type]
    assert sessions.is_ours(pod)
    del pod["metadata"]["labels"][spoilt]
    assert not sessions.is_ours(pod)


def test_a_pod_that_is_being_deleted_is_left_to_kubernetes() -> None:
    pod = pod_of(labels.Owner("ada", "", "i12"))
    pod["metadata"]["deletionTimestamp"] = NOW.isoformat()
    assert found_of(pod, NOW).state == "spared"


def test_a_failed_pod_is_kept_until_its_time_and_not_longer() -> None:
    pod = pod_of(labels.Owner("ada", "", "i12"))
    pod["metadata"]["annotations"][KEEP_UNTIL] = "2026-01-02T00:05:00Z"
    assert removed(found_of(pod, NOW), known=set(), before={"uid"}) == []
    later = found_of(pod, NOW + timedelta(minutes=5))
    assert later.state == "over"
    assert "2026-01-02T00:05" in later.why


def test_a_time_that_cannot_be_read_keeps_no_pod() -> None:
    pod = pod_of(labels.Owner("ada", "", "i12"))
    pod["metadata"]["annotations"][KEEP_UNTIL] = "tomorrow"
    assert removed(found_of(pod, NOW), known=set(), before={"uid"}) == ["uid unknown"]


# -- Sweeping pods --------------------------------------------------------------------------------


@pytest.fixture
async def api() -> AsyncIterator[KubeApi]:
    async with kube_api() as server:
        yield server


@pytest.fixture
async def sweep(api: KubeApi) -> AsyncIterator[Sweep]:
    """Of the hub ``i12``'s pods."""
    client = CoreV1Api(ApiClient(Configuration(host=api.url)))
    sessions = PodSessions(client, "i12", NAMESPACE, LOG, grace_seconds=7)
    yield Sweep(sessions, LOG, grace=60)
    await sessions.close()


async def two_sweeps(sweep: Sweep, known: set[Session] | None) -> None:
    for _ in range(2):
        await sweep.look()
        await sweep.remove(known)


ORPHAN = labels.Owner("ada", "", "i12")


def added(api: KubeApi, owner: labels.Owner, uid: str, **changes: Any) -> dict[str, Any]:
    pod = pod_of(owner, uid)
    pod["metadata"] |= changes
    api.add(pod)
    return pod


async def test_an_orphan_is_removed_by_its_uid_with_one_line_and_an_audit_line(
    sweep: Sweep, api: KubeApi, caplog: pytest.LogCaptureFixture
) -> None:
    orphan = added(api, ORPHAN, "1")
    caplog.set_level(logging.INFO)
    await two_sweeps(sweep, set())
    [deletion] = api.deletions
    assert deletion["preconditions"]["uid"] == orphan["metadata"]["uid"]
    assert deletion["gracePeriodSeconds"] == 7
    said = [record.message for record in caplog.records if "removed" in record.message]
    assert len(said) == 1
    assert "user 'ada'" in said[0]
    assert "no server of this hub owns it" in said[0]
    assert [r for r in caplog.records if r.name == "savu_spawner.audit" and "ended" in r.message]


async def test_pods_of_the_command_line_of_other_hubs_and_of_strangers_stay(
    sweep: Sweep, api: KubeApi
) -> None:
    added(api, replace(ORPHAN, hub_id=None), "cli")
    added(api, replace(ORPHAN, hub_id="i13"), "other-hub")
    added(api, ORPHAN, "stranger", labels={"app": "jupyterhub"})
    added(api, ORPHAN, "orphan")
    await two_sweeps(sweep, set())
    assert api.pods.keys() == {"pod-cli", "pod-other-hub", "pod-stranger"}


async def test_a_pod_of_a_running_server_stays(sweep: Sweep, api: KubeApi) -> None:
    added(api, ORPHAN, "1")
    await two_sweeps(sweep, {("ada", "")})
    assert api.pods


async def test_a_reset_database_removes_nothing_until_it_is_confirmed(
    sweep: Sweep, api: KubeApi, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(3):
        added(api, replace(ORPHAN, user=f"user-{number}"), str(number))
    await two_sweeps(sweep, set())
    await two_sweeps(sweep, set())
    assert len(api.pods) == 3
    said = [record.message for record in caplog.records if "does not know 3" in record.message]
    assert len(said) == 1, "told once, not at every sweep"
    assert "kubectl delete pod -n default -l app.kubernetes.io/managed-by=" in said[0]
    confirmed = Sweep(sweep.sessions, LOG, grace=60, confirm=True)
    await two_sweeps(confirmed, set())
    assert api.pods == {}


async def test_an_outage_of_the_cluster_is_told_once_and_survived(
    sweep: Sweep, api: KubeApi, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.INFO)
    monkeypatch.setattr("savu_spawner.caretaker.pods.PATIENCE_SECONDS", 0.2)
    added(api, ORPHAN, "1")
    await sweep.look()
    await sweep.remove(set())
    await api.go_away()
    await two_sweeps(sweep, set())
    await api.come_back()
    await sweep.look()
    await sweep.remove(set())
    assert api.pods, "looks before and after an outage are not in a row"
    await sweep.look()
    await sweep.remove(set())
    assert api.pods == {}
    assert sum("cannot be listed" in record.message for record in caplog.records) == 1
    assert sum("can be listed again" in record.message for record in caplog.records) == 1


async def test_a_removal_that_is_refused_is_tried_again_at_the_next_sweep(
    sweep: Sweep, api: KubeApi, caplog: pytest.LogCaptureFixture
) -> None:
    added(api, ORPHAN, "1")
    api.refusal = (403, "pods is forbidden")
    await two_sweeps(sweep, set())
    assert "pods is forbidden" in caplog.text
    assert api.pods
    api.refusal = None
    await sweep.look()
    await sweep.remove(set())
    assert api.pods == {}


async def test_a_pod_that_another_took_the_place_of_is_not_removed(
    sweep: Sweep, api: KubeApi
) -> None:
    added(api, ORPHAN, "1")
    await sweep.look()
    await sweep.remove(set())
    await sweep.look()
    api.remove("pod-1")
    added(api, ORPHAN, "1")
    await sweep.remove(set())
    assert api.pods.keys() == {"pod-1"}


async def test_every_page_of_a_long_list_is_looked_at(
    sweep: Sweep, api: KubeApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("savu_spawner.cluster.PAGE", 2)
    for number in range(5):
        added(api, replace(ORPHAN, user=f"user-{number}"), str(number))
    assert len(await sweep.sessions.look()) == 5
    assert len(api.lists) == 3


# -- The hub --------------------------------------------------------------------------------------


async def parent(*command: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(*command, stdin=subprocess.PIPE)


async def test_it_ends_with_its_hub() -> None:
    hub = await parent(sys.executable, "-c", "input()")
    end = asyncio.Event()
    watching = asyncio.create_task(set_when_gone(hub.pid, end))
    await asyncio.sleep(0)
    assert not end.is_set()
    hub.kill()
    await asyncio.wait_for(asyncio.gather(end.wait(), watching, hub.wait()), 30)


async def test_it_ends_at_once_if_its_hub_was_killed_before_it_could_watch_it() -> None:
    init = await parent("cat")
    end = asyncio.Event()
    await asyncio.wait_for(set_when_gone(init.pid, end), 30)
    assert end.is_set()
    init.kill()
    await init.wait()


# -- Configuration --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spawner", "expected"),
    [
        ("savu", ["pods"]),
        ("savu-local", ["processes"]),
        (SavuOrNotebookSpawner, ["pods"]),
        (LocalSavuSpawner, ["processes"]),
    ],
)
def test_what_is_swept_follows_from_the_configured_spawner(
    spawner: Any, expected: list[str]
) -> None:
    caretaker = Caretaker(config=Config(JupyterHub={"spawner_class": spawner}))
    caretaker.initialize([])
    assert caretaker.sessions == expected


def test_its_audit_lines_go_where_the_hubs_go(tmp_path: Path) -> None:
    file, config = tmp_path / "audit.jsonl", tmp_path / "jupyterhub_config.py"
    handlers = {"audit": {"class": "logging.FileHandler", "filename": str(file)}}
    loggers = {"savu_spawner.audit": {"handlers": ["audit"], "propagate": False}}
    config.write_text(
        f"c.JupyterHub.logging_config = {{'handlers': {handlers}, 'loggers': {loggers}}}\n"
        "c.JupyterHub.spawner_class = 'savu-local'\n"
    )
    code = (
        "from savu_spawner import audit\n"
        "from savu_spawner.caretaker.application import Caretaker\n"
        f"Caretaker().initialize(['-f', {str(config)!r}])\n"
        "audit.write(audit.AuditRecord.of('ended', 'ada', '', None))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert '"user": "ada"' in file.read_text()
    assert "ada" not in run.stderr


async def test_pods_are_found_as_the_spawner_is_configured(tmp_path: Path, api: KubeApi) -> None:
    config = Config(
        KubeSpawner={"namespace": "notebooks", "delete_grace_period": 3},
        SavuSpawner={"hub_id": "i12", "namespace": "sessions"},
    )
    with kubeconfig(tmp_path, api.url):
        pods = await configured_pods(config, SavuSpawner, LOG)
        assert pods.mend == (
            "kubectl delete pod -n sessions -l app.kubernetes.io/managed-by=savu-spawner,"
            "savu-spawner/maker=hub,savu-spawner/hub-id=i12"
        )
        await pods.close()
        beside_notebooks = await configured_pods(config, SavuOrNotebookSpawner, LOG)
        assert beside_notebooks.mend == pods.mend
        await beside_notebooks.close()
        everywhere = await configured_pods(
            Config(KubeSpawner={"enable_user_namespaces": True, "delete_grace_period": 0}),
            SavuSpawner,
            LOG,
        )
        assert (pods.grace_seconds, everywhere.grace_seconds) == (3, 1), "never at once"
        assert "--all-namespaces" in everywhere.mend
        assert "hub-id=hub" in everywhere.mend
        await everywhere.close()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("c.JupyterHub.spawner_class = 'no.such.Class'", "spawner_class"),
        ("c.JupyterHub.spawner_class = 'savu'", "Service host|kube-config|kubeconfig"),
        ("c.JupyterHub.spawner_class = 'savu'\nc.SavuSpawner.hub_id = 'a b'", "hub_id"),
        (None, "no configuration file"),
    ],
    ids=["no such class", "no cluster", "no such hub id", "no file"],
)
def test_what_cannot_work_is_said_and_ends_with_78(
    tmp_path: Path, text: str | None, words: str
) -> None:
    file = tmp_path / "jupyterhub_config.py"
    environment = {"PATH": os.environ["PATH"], "KUBECONFIG": str(tmp_path / "none")}
    if text is not None:
        file.write_text(text)
    if text and "hub_id" in text:
        with kubeconfig(tmp_path) as path:
            environment["KUBECONFIG"] = str(path)
    run = subprocess.run(
        [sys.executable, "-m", "savu_spawner.caretaker", "-f", str(file)],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )
    assert run.returncode == 78, run.stderr
    assert any(word in run.stderr for word in words.split("|")), run.stderr
    assert "Traceback" not in run.stderr


# -- Processes ------------------------------------------------------------------------------------


def recorded(runtime_dir: Path, text: str) -> Path:
    folder = runtime_dir / "abc"
    (folder / "control").mkdir(parents=True)
    (folder / "control" / "session.json").write_text(text)
    return folder


def test_folder_without_a_sound_record_counts_as_over(tmp_path: Path) -> None:
    recorded(tmp_path, "{")
    [item] = look(tmp_path)
    assert (item.session, item.state) == (None, "over")


async def test_folder_that_a_new_session_has_taken_is_left_alone(tmp_path: Path) -> None:
    folder = recorded(tmp_path, '{"user": "ada", "server": "", "supervisor": [1, 0.0]}')
    [item] = look(tmp_path)
    assert (item.session, item.state) == (("ada", ""), "over")
    (folder / "control" / "session.json").write_text(
        '{"user": "ada", "server": "", "supervisor": [2, 0.0]}'
    )
    await remove(item)
    assert folder.exists()
    [item] = look(tmp_path)
    await remove(item)
    assert not folder.exists()
