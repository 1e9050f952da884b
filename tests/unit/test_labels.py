"""Whose a pod is, by its labels."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from savu_spawner.pod import labels
from savu_spawner.pod.labels import (
    Owner,
    owner_of,
    selector,
    session_labels,
    stranger,
    valid_hub_id,
    with_session_labels,
)

ADAS = Owner("ada", "", "i12")
HUB_IDS = st.from_regex(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?", fullmatch=True)
OWNERS = st.builds(Owner, st.text(min_size=1), st.text(), st.none() | HUB_IDS)


def pod_of(owner: Owner) -> dict[str, Any]:
    """A pod with the annotations that KubeSpawner writes, and our labels."""
    annotations = {labels.USERNAME: owner.user}
    if owner.server:
        annotations[labels.SERVERNAME] = owner.server
    return {
        "metadata": {
            "name": "jupyter-ada",
            "labels": with_session_labels({"component": "singleuser-server"}, owner.hub_id),
            "annotations": annotations,
        }
    }


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(OWNERS)
def test_an_owner_is_read_back_from_its_pod(owner: Owner) -> None:
    assert owner_of(pod_of(owner)) == owner
    assert stranger(pod_of(owner), owner) == ""


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(OWNERS, OWNERS)
def test_a_pod_has_one_owner(one: Owner, other: Owner) -> None:
    assert bool(stranger(pod_of(one), other)) == (one != other)


@pytest.mark.parametrize(
    ("other", "words"),
    [
        (replace(ADAS, hub_id="i13"), "hub_id 'i13'"),
        (replace(ADAS, hub_id=None), "command line"),
        (replace(ADAS, user="bob"), "user 'bob'"),
        (replace(ADAS, server="second"), "server 'second'"),
    ],
    ids=["another hub's", "the command line's", "another user's", "another server's"],
)
def test_a_strangers_pod_is_named_in_words(other: Owner, words: str) -> None:
    assert words in stranger(pod_of(other), ADAS)


@pytest.mark.parametrize("missing", [labels.MANAGED_BY, labels.MAKER, labels.HUB_ID])
def test_a_pod_that_lacks_one_of_the_labels_is_nobodys(missing: str) -> None:
    pod = pod_of(ADAS)
    del pod["metadata"]["labels"][missing]
    assert owner_of(pod) is None
    assert "not made by savu-spawner" in stranger(pod, ADAS)


def test_a_notebook_of_the_same_hub_is_no_session() -> None:
    pod = pod_of(ADAS)
    pod["metadata"]["labels"] = {"app": "jupyterhub", "component": "singleuser-server"}
    assert stranger(pod, ADAS)


def test_labels_that_network_policies_select_by_stay() -> None:
    chart = {labels.NAME: "jupyterhub", labels.COMPONENT: "singleuser-server", "release": "hub"}
    assert chart.items() <= with_session_labels(chart, "i12").items()


def test_labels_of_a_hub_and_of_the_command_line_select_different_pods() -> None:
    assert selector("i12").endswith("savu-spawner/maker=hub,savu-spawner/hub-id=i12")
    assert selector(None).endswith("savu-spawner/maker=cli")
    assert labels.HUB_ID not in session_labels(None)


@pytest.mark.parametrize("value", ["", "a b", "-a", "a-", "a" * 64, "a,b", "i12\n"])
def test_a_hub_id_that_is_no_label_is_refused(value: str) -> None:
    with pytest.raises(ValueError, match="hub_id"):
        valid_hub_id(value)
