"""What pods and events mean, as Kubernetes 1.34 words them."""

from __future__ import annotations

from typing import Any

import pytest

from savu_spawner.diagnosis import is_on_lost_node, said_of, start_failure


def waiting(reason: str, message: str = "") -> dict[str, Any]:
    return {"waiting": {"reason": reason, "message": message}}


def starting(*, api: dict[str, Any] | None = None, **status: Any) -> dict[str, Any]:
    """A pod of which the kubelet has reported only ``api``."""
    container = {"name": "api", "ready": False, "restartCount": 0, **(api or {})}
    return {
        "metadata": {"name": "jupyter-ada", "uid": "1"},
        "spec": {"containers": [{"name": "api", "image": "registry.test/savu-api:9"}]},
        "status": {"phase": "Pending", "containerStatuses": [container] if api else [], **status},
    }


def event(reason: str, message: str, container: str = "", count: int = 1) -> dict[str, Any]:
    return {
        "reason": reason,
        "message": message,
        "count": count,
        "involvedObject": {"fieldPath": f"spec.containers{{{container}}}" if container else None},
    }


def unschedulable(message: str) -> dict[str, Any]:
    return {
        "type": "PodScheduled",
        "status": "False",
        "reason": "Unschedulable",
        "message": message,
    }


NOT_FOUND = (
    'Failed to pull image "registry.test/savu-api:9": rpc error: code = NotFound desc = failed to'
    " pull and unpack image: failed to resolve reference: registry.test/savu-api:9: not found"
)
TIMED_OUT = (
    'Failed to pull image "registry.test/savu-api:9": rpc error: code = DeadlineExceeded desc ='
    " failed to do request: dial tcp 192.0.2.1:443: i/o timeout"
)


@pytest.mark.parametrize(
    ("pod", "events", "words"),
    [
        (
            starting(api={"state": waiting("ErrImagePull", NOT_FOUND)}),
            [event("Failed", NOT_FOUND, "api")],
            "“registry.test/savu-api:9” was not found",
        ),
        (
            starting(api={"state": waiting("ImagePullBackOff", "Back-off pulling image")}),
            [event("Failed", TIMED_OUT, "api", count=2)],
            "could not be fetched",
        ),
        (
            starting(api={"state": waiting("ErrImagePull", TIMED_OUT)}),
            [event("Pulling", "Pulling image", "api", count=2), event("Failed", TIMED_OUT, "api")],
            "could not be fetched",
        ),
        (
            starting(api={"state": waiting("ErrImageNeverPull")}),
            [],
            "is not on the machine",
        ),
        (starting(api={"state": waiting("InvalidImageName")}), [], "impossible name"),
        (
            starting(
                api={
                    "state": waiting(
                        "CreateContainerConfigError",
                        "container has runAsNonRoot and image will run as root",
                    )
                }
            ),
            [],
            "may not run as it is set up",
        ),
        (
            starting(
                conditions=[
                    unschedulable(
                        '0/2 nodes are available: persistentvolumeclaim "dls" not found. not found'
                    )
                ]
            ),
            [],
            "persistentvolumeclaim “dls”",
        ),
        (
            starting(),
            [event("FailedMount", 'MountVolume.SetUp failed: configmap "site" not found')],
            "configmap “site”",
        ),
        (
            starting(),
            [
                event(
                    "FailedMount",
                    "MountVolume.SetUp failed for volume: hostPath type check failed:"
                    " /dls is not a directory",
                    count=3,
                )
            ],
            "its folder is not on the machine",
        ),
        (
            starting(
                api={
                    "restartCount": 1,
                    "state": waiting("CrashLoopBackOff"),
                    "lastState": {
                        "terminated": {"exitCode": 128, "reason": "StartError", "message": "exec"}
                    },
                }
            ),
            [],
            "cannot be started",
        ),
        (
            starting(
                api={
                    "restartCount": 0,
                    "state": {
                        "terminated": {
                            "exitCode": 78,
                            "reason": "Error",
                            "message": "starting\nDATA_ROOTS is empty",
                        }
                    },
                }
            ),
            [],
            "ends as soon as it is started: DATA_ROOTS is empty",
        ),
        (
            starting(
                api={
                    "restartCount": 2,
                    "state": {"terminated": {"exitCode": 137, "reason": "OOMKilled"}},
                }
            ),
            [],
            "more memory than it may have",
        ),
        (
            starting(phase="Failed", reason="OutOfcpu", message="Node didn't have enough cpu"),
            [],
            "Node didn't have enough cpu",
        ),
    ],
    ids=[
        "image not found",
        "registry timed out twice",
        "registry timed out twice, told once",
        "image not on the machine",
        "impossible image",
        "root image refused",
        "claim missing",
        "config map missing",
        "folder missing",
        "command missing",
        "misconfigured",
        "out of memory",
        "no room after all",
    ],
)
def test_what_no_waiting_mends_is_said(
    pod: dict[str, Any], events: list[dict[str, Any]], words: str
) -> None:
    failure = start_failure(pod, events)
    assert failure is not None
    assert words in failure.sentence
    assert "rpc error" not in failure.sentence


@pytest.mark.parametrize(
    ("pod", "events"),
    [
        (
            starting(api={"state": waiting("ImagePullBackOff", "Back-off")}),
            [event("Pulling", "Pulling image", "api", count=2), event("Failed", TIMED_OUT, "api")],
        ),
        (
            starting(
                api={
                    "state": waiting(
                        "CreateContainerConfigError",
                        "failed to sync secret cache: timed out waiting for the condition",
                    )
                }
            ),
            [],
        ),
        (starting(conditions=[unschedulable("0/2 nodes are available: 2 Insufficient cpu.")]), []),
        (
            starting(
                conditions=[
                    unschedulable("pod has unbound immediate PersistentVolumeClaims. not found")
                ]
            ),
            [],
        ),
        (starting(), [event("FailedMount", "mount.nfs: Connection timed out", count=5)]),
        (starting(), [event("FailedCreatePodSandBox", "network not ready", count=5)]),
        (
            starting(
                api={
                    "restartCount": 1,
                    "state": {"terminated": {"exitCode": 1, "reason": "Error"}},
                }
            ),
            [],
        ),
    ],
    ids=[
        "registry timed out once",
        "secret not yet there",
        "no room yet",
        "claim not yet bound",
        "mount slow",
        "network not ready",
        "crashed twice",
    ],
)
def test_what_may_heal_is_waited_for(pod: dict[str, Any], events: list[dict[str, Any]]) -> None:
    assert start_failure(pod, events) is None


def test_what_is_waited_for_is_told_in_plain_words() -> None:
    pod = starting(conditions=[unschedulable("pod has unbound immediate PersistentVolumeClaims")])
    assert said_of(pod, []) == [(20, "Waiting for your data to be connected…")]


def test_a_node_that_stopped_answering_is_not_taken_for_a_program_that_is_not_ready() -> None:
    ready, containers = {"type": "Ready"}, {"type": "ContainersReady"}
    lost = starting(conditions=[ready | {"status": "False"}, containers | {"status": "True"}])
    slow = starting(conditions=[ready | {"status": "False"}, containers | {"status": "False"}])
    assert is_on_lost_node(lost)
    assert not is_on_lost_node(slow)
