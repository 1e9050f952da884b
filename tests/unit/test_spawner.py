"""SavuSpawner against an API server that only keeps what it is told."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from kubespawner import KubeSpawner
from tornado.web import HTTPError
from traitlets.config import Config

from savu_spawner.diagnosis import Record, end_of, is_ready, said_of, start_failure
from savu_spawner.errors import SessionFailed
from savu_spawner.spawner import SavuSpawner
from tests.support.identities import ADA
from tests.support.kube_api import KubeApi, kube_api, running
from tests.support.kubernetes import KnownPeople, kubeconfig, make_spawner

VOLUMES = [{"mountPath": "/dls", "volume": {"persistentVolumeClaim": {"claimName": "dls"}}}]
POD = "jupyter-ada"


@pytest.fixture
async def api() -> AsyncIterator[KubeApi]:
    async with kube_api() as server:
        yield server


@pytest.fixture
async def spawner(api: KubeApi, tmp_path: Path) -> AsyncIterator[SavuSpawner]:
    with kubeconfig(tmp_path, api.url):
        made = make_spawner(data_volumes=VOLUMES)
        made.directory = KnownPeople(ADA)
        made.policy.support_contact = "the helpdesk"
        try:
            yield made
        finally:
            await SavuSpawner._stop_all_reflectors()
            await made.api.api_client.close()


@pytest.fixture
def no_cluster(tmp_path: Path) -> Iterator[None]:
    with kubeconfig(tmp_path):
        yield


async def started(spawner: SavuSpawner, api: KubeApi) -> str:
    """Start to the end, the pod becoming ready as soon as it is made."""
    starting = asyncio.ensure_future(spawner.start())
    await asyncio.wait_for(api.created.wait(), 10)
    api.report_ready(POD)
    return await asyncio.wait_for(starting, 20)


async def observed(spawner: SavuSpawner, seen: Callable[[Any], bool]) -> None:
    """Wait until the spawner's own watch has brought what ``seen`` looks for."""
    watch = await spawner._start_watching_pods()
    await asyncio.wait_for(watch.until(f"default/{POD}", seen), 10)


# -- Start ----------------------------------------------------------------------------------------


async def test_a_start_makes_the_pod_and_answers_with_its_address(
    spawner: SavuSpawner, api: KubeApi
) -> None:
    assert await started(spawner, api) == "http://10.1.2.3:8888"
    pod = api.pods[POD]
    assert [c["name"] for c in pod["spec"]["containers"]] == ["web", "gate", "api", "dataserver"]
    assert pod["spec"]["securityContext"]["runAsUser"] == ADA.uid
    assert await spawner.poll() is None


async def test_a_start_asks_the_directory_once(spawner: SavuSpawner, api: KubeApi) -> None:
    await started(spawner, api)
    assert spawner.directory.asked == ["ada"]


async def test_progress_is_told_in_words_and_never_goes_back(
    spawner: SavuSpawner, api: KubeApi
) -> None:
    starting = asyncio.ensure_future(spawner.start())
    await asyncio.wait_for(api.created.wait(), 10)
    api.event(POD, "Pulling", 'Pulling image "savu-api:1"', container="api")
    api.report(POD, conditions=[{"type": "PodScheduled", "status": "True"}])
    said = []
    async with asyncio.timeout(10):
        async for event in spawner.progress():
            said.append(event)
            if "Fetching the processing service" in event["message"]:
                break
    api.report_ready(POD)
    await starting
    percents = [event["progress"] for event in spawner.spawn_log.events]
    assert percents == sorted(percents)
    everything = " ".join(event["message"] for event in spawner.spawn_log.events)
    for words in ("A machine was found", "opening your session", "user ID 37001"):
        assert words in everything
    assert "Pulling image" not in everything


async def test_a_user_whom_the_directory_does_not_know_is_refused_and_no_pod_is_made(
    spawner: SavuSpawner, api: KubeApi
) -> None:
    spawner.directory = KnownPeople()
    with pytest.raises(HTTPError) as refused:
        await spawner.start()
    assert "does not know your account" in refused.value.jupyterhub_message
    assert "the helpdesk" in refused.value.jupyterhub_message
    assert refused.value.status_code == 403
    assert api.pods == {}


async def test_an_image_that_is_not_there_ends_the_start_and_removes_the_pod(
    spawner: SavuSpawner, api: KubeApi, caplog: pytest.LogCaptureFixture
) -> None:
    starting = asyncio.ensure_future(spawner.start())
    await asyncio.wait_for(api.created.wait(), 10)
    api.logs["web"] = "nginx: something is odd\n"
    api.report(
        POD,
        containerStatuses=[
            {
                "name": "dataserver",
                "ready": False,
                "restartCount": 0,
                "image": "savu-dataserver:9",
                "state": {"waiting": {"reason": "ImagePullBackOff", "message": "not found"}},
            }
        ],
    )
    with pytest.raises(HTTPError) as failed:
        await starting
    assert "the data server, cannot start" in failed.value.jupyterhub_message
    assert "“savu-dataserver:" in failed.value.jupyterhub_message
    assert api.pods == {}
    assert spawner.record is None
    assert await spawner.poll() == 1
    assert spawner.ended is None
    assert "web: nginx: something is odd" in caplog.text


async def test_a_failed_pod_is_kept_for_as_long_as_the_site_says(
    spawner: SavuSpawner, api: KubeApi
) -> None:
    spawner.keep_failed_pods = 5
    starting = asyncio.ensure_future(spawner.start())
    await asyncio.wait_for(api.created.wait(), 10)
    api.report(POD, phase="Failed", reason="OutOfcpu", message="no room")
    with pytest.raises(HTTPError):
        await starting
    await spawner.stop()
    assert "savu-spawner/keep-until" in api.pods[POD]["metadata"]["annotations"]
    first = api.pods[POD]["metadata"]["uid"]
    api.created.clear()
    await started(spawner, api)
    assert api.pods[POD]["metadata"]["uid"] != first


async def test_a_failed_pod_that_may_not_be_marked_is_removed(
    spawner: SavuSpawner, api: KubeApi
) -> None:
    spawner.keep_failed_pods = 5
    api.may_patch = False
    starting = asyncio.ensure_future(spawner.start())
    await asyncio.wait_for(api.created.wait(), 10)
    api.report(POD, phase="Failed", reason="OutOfcpu", message="no room")
    with pytest.raises(HTTPError):
        await starting
    assert api.pods == {}


async def test_a_cancelled_start_leaves_no_pod(spawner: SavuSpawner, api: KubeApi) -> None:
    starting = asyncio.ensure_future(spawner.start())
    await asyncio.wait_for(api.created.wait(), 10)
    await asyncio.wait_for(spawner._pod_made.wait(), 10)
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    assert api.pods == {}


async def test_a_server_that_is_busy_is_asked_again(spawner: SavuSpawner, api: KubeApi) -> None:
    api.refusal = (429, "too many requests")
    starting = asyncio.ensure_future(spawner.start())
    await asyncio.wait_for(api.refused.wait(), 10)
    async with asyncio.timeout(10):
        async for event in spawner.progress():
            if "cannot be reached" in event["message"]:
                break
    api.refusal = None
    await asyncio.wait_for(api.created.wait(), 10)
    api.report_ready(POD)
    assert await asyncio.wait_for(starting, 20)


async def test_a_pod_that_was_made_although_the_answer_was_lost_is_used(
    spawner: SavuSpawner, api: KubeApi
) -> None:
    api.lost_answers.append(POD)
    await started(spawner, api)
    assert api.deletions == []
    assert await spawner.poll() is None


async def test_a_pod_of_the_same_name_that_somebody_else_made_is_left_alone(
    spawner: SavuSpawner, api: KubeApi
) -> None:
    api.add({"metadata": {"name": POD, "labels": {"app": "mine"}}, "spec": {"containers": []}})
    with pytest.raises(HTTPError) as refused:
        await spawner.start()
    assert "something else has its name" in refused.value.jupyterhub_message
    await spawner.stop()
    assert api.deletions == []
    assert POD in api.pods


async def test_a_start_waits_for_the_last_session_to_be_gone(
    spawner: SavuSpawner, api: KubeApi
) -> None:
    await started(spawner, api)
    api.keeps_deleted = True
    api.report(POD, phase="Failed", reason="Evicted")
    await observed(spawner, lambda pod: pod["status"]["phase"] == "Failed")
    first = api.pods[POD]["metadata"]["uid"]
    api.created.clear()
    starting = asyncio.ensure_future(spawner.start())
    await asyncio.sleep(0)  # until it has a log of its own
    async with asyncio.timeout(20):
        async for event in spawner.progress():
            if "previous session is still stopping" in event["message"]:
                break
    api.remove(POD)
    await asyncio.wait_for(api.created.wait(), 20)
    api.report_ready(POD)
    assert await asyncio.wait_for(starting, 20)
    assert api.pods[POD]["metadata"]["uid"] != first


async def test_a_session_on_a_lost_node_keeps_its_user_from_starting_another(
    spawner: SavuSpawner, api: KubeApi
) -> None:
    await started(spawner, api)
    api.keeps_deleted = True
    api.report(POD, conditions=LOST)
    await observed(spawner, lambda pod: pod["status"]["conditions"] == LOST)
    assert await spawner.poll() == 1
    assert "machine was lost" in spawner.ended["reason"]
    with pytest.raises(HTTPError) as refused:
        await spawner.start()
    assert "may still be writing" in refused.value.jupyterhub_message
    spawner.replace_on_lost_node = True
    api.keeps_deleted = False
    api.created.clear()
    assert await started(spawner, api)
    assert api.deletions[-1]["gracePeriodSeconds"] == 0


async def test_the_clusters_refusal_is_told_in_its_own_words_and_not_counted(
    spawner: SavuSpawner, api: KubeApi
) -> None:
    api.refusal = (403, 'pods "jupyter-ada" is forbidden: exceeded quota: sessions')
    with pytest.raises(HTTPError) as refused:
        await spawner.start()
    assert "exceeded quota: sessions" in refused.value.jupyterhub_message
    assert refused.value.status_code < 500


async def test_a_pod_that_is_never_ready_is_named_part_by_part(
    spawner: SavuSpawner, api: KubeApi
) -> None:
    spawner.start_timeout = 4
    starting = asyncio.ensure_future(spawner.start())
    await asyncio.wait_for(api.created.wait(), 10)
    api.report(POD, phase="Running", containerStatuses=[running("web"), running("api")])
    with pytest.raises(HTTPError) as failed:
        await starting
    message = failed.value.jupyterhub_message
    assert "the login gate, the data server" in message
    assert "the page" not in message
    assert api.pods == {}


async def test_a_failed_earlier_pod_does_not_fail_the_next_start(
    spawner: SavuSpawner, api: KubeApi
) -> None:
    await started(spawner, api)
    api.report(POD, phase="Failed", reason="Evicted")
    await observed(spawner, lambda pod: pod["status"]["phase"] == "Failed")
    api.created.clear()
    assert await started(spawner, api) == "http://10.1.2.3:8888"


async def test_a_stop_waits_for_the_pod_to_be_gone_however_long_the_cluster_is_away(
    spawner: SavuSpawner, api: KubeApi
) -> None:
    await started(spawner, api)
    api.refusal = (503, "the server is currently unable to handle the request")
    api.refused.clear()
    stopping = asyncio.ensure_future(spawner.stop())
    await asyncio.wait_for(api.refused.wait(), 10)
    assert not stopping.done()
    api.refusal = None
    await asyncio.wait_for(stopping, 20)
    assert api.pods == {}


# -- What a death means ---------------------------------------------------------------------------

LOST = [
    {"type": "Ready", "status": "False"},
    {"type": "ContainersReady", "status": "True"},
]
DIED = {"exitCode": 1, "reason": "Error"}
KILLED = {"exitCode": 137, "reason": "OOMKilled"}


async def test_a_death_of_the_gate_ends_the_session_and_deletes_its_pod_before_it_is_told(
    spawner: SavuSpawner, api: KubeApi
) -> None:
    await started(spawner, api)
    uid = api.pods[POD]["metadata"]["uid"]
    statuses = [running(name) for name in ("web", "api", "dataserver")]
    api.report(POD, containerStatuses=[*statuses, running("gate", restarts=1, **DIED)])
    await observed(spawner, lambda pod: pod["status"]["containerStatuses"][-1]["restartCount"])
    assert await spawner.poll() == 1
    assert [deletion["preconditions"]["uid"] for deletion in api.deletions] == [uid]
    assert "login gate ended unexpectedly" in spawner.ended["reason"]


async def test_jupyterhub_is_told_of_an_end_at_once(spawner: SavuSpawner, api: KubeApi) -> None:
    await started(spawner, api)
    told = asyncio.Event()
    spawner.add_poll_callback(told.set)
    api.remove(POD)
    await asyncio.wait_for(told.wait(), 10)
    assert "gone" in spawner.ended["reason"]


async def test_a_session_is_not_reported_as_over_while_its_pod_cannot_be_deleted(
    spawner: SavuSpawner, api: KubeApi
) -> None:
    await started(spawner, api)
    api.refusal = (503, "down")
    api.report(POD, phase="Failed", reason="Evicted")
    await observed(spawner, lambda pod: pod["status"]["phase"] == "Failed")
    assert await spawner.poll() is None
    api.refusal = None
    assert await spawner.poll() == 1
    assert api.pods == {}


async def test_a_pod_that_is_gone_is_a_session_that_ended(
    spawner: SavuSpawner, api: KubeApi
) -> None:
    await started(spawner, api)
    api.remove(POD)
    await observed(spawner, lambda pod: pod is None)
    assert await spawner.poll() == 1
    assert "gone" in spawner.ended["reason"]


async def test_a_stop_says_that_it_was_one(spawner: SavuSpawner, api: KubeApi) -> None:
    await started(spawner, api)
    await spawner.stop()
    assert await spawner.poll() == 1
    assert "stopped from the control panel" in spawner.ended["reason"]
    assert api.pods == {}


async def test_a_hub_that_was_killed_before_it_noted_the_start_adopts_the_pod(
    spawner: SavuSpawner, api: KubeApi
) -> None:
    await started(spawner, api)
    again = make_spawner(data_volumes=VOLUMES)
    assert await again.poll() is None
    assert again.record is not None
    assert await again.get_url() == "http://10.1.2.3:8888"
    assert again.audited is not None
    assert again.audited.uid == ADA.uid


async def test_a_hub_that_was_killed_waits_for_the_address_of_a_pod_that_is_being_made(
    spawner: SavuSpawner, api: KubeApi
) -> None:
    starting = asyncio.ensure_future(spawner.start())
    await asyncio.wait_for(api.created.wait(), 10)
    again = make_spawner(data_volumes=VOLUMES)
    assert await again.poll() is None
    asking = asyncio.ensure_future(again.get_url())
    api.report_ready(POD)
    assert await asyncio.wait_for(asking, 20) == "http://10.1.2.3:8888"
    await starting


async def test_a_restarted_hub_remembers_deaths_and_the_pod(
    spawner: SavuSpawner, api: KubeApi
) -> None:
    await started(spawner, api)
    spawner.record = spawner.record.observe(api.pods[POD], 5.0)
    again = make_spawner(data_volumes=VOLUMES)
    again.load_state(spawner.get_state())
    assert again.record == spawner.record
    assert await again.poll() is None


async def test_a_server_that_was_never_started_has_not_ended(
    spawner: SavuSpawner, api: KubeApi
) -> None:
    assert await spawner.poll() == 1
    assert spawner.ended is None


def pod_with(**status: Any) -> dict[str, Any]:
    statuses = {name: running(name) for name in ("web", "gate", "api", "dataserver")}
    statuses |= {name.removeprefix("_"): s for name, s in status.items() if name[0] == "_"}
    return {
        "metadata": {"name": POD, "uid": "1"}
        | ({"deletionTimestamp": "2026"} if status.pop("deleted", False) else {}),
        "status": {
            "phase": "Running",
            "podIP": "10.1.2.3",
            "containerStatuses": list(statuses.values()),
        }
        | {name: value for name, value in status.items() if name[0] != "_"},
    }


def ended(name: str, **last: Any) -> dict[str, Any]:
    return running(name) | {"ready": False, "state": {"terminated": last}}


def crash_loop(name: str, restarts: int, **last: Any) -> dict[str, Any]:
    waiting = {"state": {"waiting": {"reason": "CrashLoopBackOff"}}, "ready": False}
    return running(name, restarts=restarts, **last) | waiting


@pytest.mark.parametrize(
    ("pod", "lives"),
    [
        (pod_with(), True),
        (pod_with(_dataserver=ended("dataserver", **KILLED)), True),
        (pod_with(_dataserver=crash_loop("dataserver", 2, **DIED)), True),
        (pod_with(_dataserver=crash_loop("dataserver", 4, **DIED)), False),
        (pod_with(_web=crash_loop("web", 1, **DIED)), False),
        (pod_with(_web=ended("web", exitCode=137)), False),
        (pod_with(_web=ended("web", exitCode=0, reason="Completed")), False),
        (pod_with(_gate=ended("gate", **KILLED)), False),
        (pod_with(_api=running("api", restarts=1, **KILLED)), True),
        (pod_with(_api=running("api", restarts=2, **KILLED)), False),
        (pod_with(_api=running("api", restarts=1, exitCode=137, reason="Error")), True),
        (pod_with(_api=running("api", restarts=1, **DIED)), False),
        (pod_with(phase="Failed", reason="Evicted"), False),
        (pod_with(phase="Failed", reason="NodeShutdown", containerStatuses=None), False),
        (pod_with(phase="Failed", reason="OutOfcpu", containerStatuses=None), False),
        (pod_with(phase="Unknown"), False),
        (pod_with(phase="Succeeded"), False),
        (pod_with(deleted=True), False),
        (pod_with(podIP=None), True),
        (None, False),
    ],
    ids=[
        "well",
        "dataserver killed once",
        "dataserver crashed three times",
        "dataserver crashed five times",
        "web crash-looping",
        "web terminated",
        "web completed",
        "gate killed",
        "api killed for memory once",
        "api killed for memory twice",
        "api killed once",
        "api crashed",
        "evicted",
        "node shut down before any container",
        "no room on the node",
        "node lost",
        "all containers completed",
        "being deleted",
        "no address",
        "gone",
    ],
)
def test_the_truth_about_all_four_containers(pod: dict[str, Any] | None, lives: bool) -> None:
    record = Record.of(pod_with())
    if pod is not None:
        record = record.observe(pod, now=1000.0)
    reason = end_of(pod, record)
    assert (reason is None) is lives
    if reason:
        assert reason[0].isupper()
        assert reason.endswith(".")


def test_deaths_that_are_ten_minutes_apart_are_not_counted_together() -> None:
    record = Record.of(pod_with())
    for restarts, now in ((1, 0.0), (2, 601.0), (3, 1202.0)):
        pod = pod_with(_api=running("api", restarts=restarts, **KILLED))
        record = record.observe(pod, now)
        assert end_of(pod, record) is None


def test_what_died_before_the_session_was_ready_is_forgiven() -> None:
    pod = pod_with(_gate=running("gate", restarts=2, **DIED))
    assert end_of(pod, Record.of(pod).observe(pod, 1.0)) is None


def test_the_same_death_is_counted_once() -> None:
    dying = pod_with(_dataserver=ended("dataserver", **DIED))
    back = pod_with(_dataserver=running("dataserver", restarts=1, **DIED))
    record = Record.of(pod_with()).observe(dying, 1.0).observe(dying, 2.0).observe(back, 3.0)
    assert record.deaths == {"dataserver": (1.0,)}


@pytest.mark.parametrize(
    "pod",
    [None, pod_with(podIP=None), pod_with(phase="Pending"), pod_with(deleted=True)],
    ids=["none", "no address", "pending", "being deleted"],
)
def test_a_pod_is_ready_only_when_it_can_be_reached(pod: dict[str, Any] | None) -> None:
    assert not is_ready(pod)
    assert is_ready(pod_with())


def test_a_third_crash_while_starting_is_permanent() -> None:
    assert start_failure(pod_with(_api=crash_loop("api", 1, **DIED)), []) is None
    failure = start_failure(pod_with(_api=crash_loop("api", 2, **DIED)), [])
    assert failure
    assert "the processing service" in failure.sentence


def test_waiting_for_a_machine_is_told() -> None:
    pod = pod_with(
        phase="Pending",
        containerStatuses=None,
        conditions=[{"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}],
    )
    assert said_of(pod, []) == [(20, "Waiting for a machine with enough room…")]


# -- Configuration --------------------------------------------------------------------------------


async def made(spawner: SavuSpawner) -> Any:
    spawner.identity = ADA
    return await spawner.get_pod_manifest()


@pytest.mark.parametrize("trait", ["uid", "gid"])
@pytest.mark.parametrize("value", [0, 1000])
async def test_an_identity_from_the_configuration_is_refused(
    no_cluster: None, trait: str, value: int
) -> None:
    spawner = make_spawner(data_volumes=VOLUMES, **{trait: value})
    with pytest.raises(SessionFailed) as refused:
        await made(spawner)
    assert trait in refused.value.log_message
    assert trait not in refused.value.message


async def test_an_identity_from_a_profile_is_refused(no_cluster: None) -> None:
    profile = {"display_name": "root", "kubespawner_override": {"uid": 0}}
    spawner = make_spawner(data_volumes=VOLUMES, profile_list=[profile])
    spawner.directory = KnownPeople(ADA)
    await spawner.load_user_options()
    with pytest.raises(SessionFailed):
        await spawner.get_pod_manifest()


async def test_the_charts_own_settings_for_notebooks_are_not_applied_and_logged(
    no_cluster: None, caplog: pytest.LogCaptureFixture
) -> None:
    config = Config()
    config.KubeSpawner.update(
        uid=1000,
        fs_gid=100,
        storage_pvc_ensure=True,
        pvc_name_template="claim-{user_server}",
        volumes={"home": {"name": "h", "persistentVolumeClaim": {"claimName": "{pvc_name}"}}},
        volume_mounts={"home": {"name": "h", "mountPath": "/home/jovyan"}},
    )
    config.Spawner.cmd = "jupyterhub-singleuser"
    spawner = make_spawner(config, data_volumes=VOLUMES)
    spawner.log = logging.getLogger("spawner")
    with caplog.at_level("INFO", logger="spawner"):
        pod = await made(spawner)
    assert pod.spec.security_context["runAsUser"] == ADA.uid
    assert "fsGroup" not in pod.spec.security_context
    assert not spawner.storage_pvc_ensure
    assert "h" not in {volume["name"] for volume in pod.spec.volumes}
    lines = [r.getMessage() for r in caplog.records if "not applied" in r.getMessage()]
    assert len(lines) == 4


async def test_a_profile_sets_the_four_images_together(no_cluster: None) -> None:
    images = {
        "image": "a:2",
        "web_image": "w:2",
        "gate_image": "g:2",
        "dataserver_image": "d:2",
    }
    profile = {"display_name": "Version 2", "slug": "two", "kubespawner_override": images}
    spawner = make_spawner(data_volumes=VOLUMES, profile_list=[profile])
    spawner.directory = KnownPeople(ADA)
    await spawner.load_user_options()
    pod = await spawner.get_pod_manifest()
    assert [c["image"] for c in pod.spec.containers] == ["w:2", "g:2", "a:2", "d:2"]


async def test_the_notebooks_image_is_not_that_of_api(no_cluster: None) -> None:
    config = Config()
    config.KubeSpawner.image = "quay.io/jupyterhub/k8s-singleuser-sample:4"
    pod = await made(make_spawner(config, data_volumes=VOLUMES))
    assert pod.spec.containers[2]["image"].startswith("savu-api:")
    pod = await made(make_spawner(config, data_volumes=VOLUMES, image="registry.test/savu-api:2"))
    assert pod.spec.containers[2]["image"] == "registry.test/savu-api:2"


async def test_a_profile_that_does_not_exist_is_the_users_to_mend(
    spawner: SavuSpawner, api: KubeApi
) -> None:
    spawner.profile_list = [{"display_name": "One", "slug": "one"}]
    spawner.user_options = {"profile": "two"}
    with pytest.raises(HTTPError) as refused:
        await spawner.start()
    assert refused.value.status_code == 400
    assert api.pods == {}


async def test_the_token_is_in_the_gate_and_nowhere_else(no_cluster: None) -> None:
    pod = await made(make_spawner(data_volumes=VOLUMES))
    holders = {
        container["name"]
        for container in pod.spec.containers
        for variable in container["env"]
        if variable.get("value") == "the-hub's-token"
    }
    assert holders == {"gate"}


async def test_a_users_jobs_are_kept_where_the_site_says(no_cluster: None) -> None:
    spawner = make_spawner(data_volumes=VOLUMES, state_dir="/dls/state/{username}/{servername}")
    pod = await made(spawner)
    env = {v["name"]: v["value"] for v in pod.spec.containers[2]["env"]}
    assert env["API_STATE_DIR"] == "/dls/state/ada"


def test_the_private_names_of_kubespawner_that_are_used_exist() -> None:
    for name in ("_expand_user_properties", "_start_watching_pods", "_stop_all_reflectors"):
        assert callable(getattr(KubeSpawner, name))


async def test_a_volume_claim_cannot_be_switched_on_and_nothing_is_said_against_trying(
    no_cluster: None, caplog: pytest.LogCaptureFixture
) -> None:
    config = Config()
    config.KubeSpawner.storage_pvc_ensure = True
    assert not make_spawner(config, data_volumes=VOLUMES).storage_pvc_ensure
    assert "not recognized" not in caplog.text
