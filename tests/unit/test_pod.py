"""The pod of a session: golden manifests, and what must hold of any of them.

``UPDATE_GOLDEN=1 pytest tests/unit/test_pod.py`` writes the golden manifests anew; read the
difference before it is kept.
"""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from kubernetes_asyncio.client import ApiClient, Configuration

from savu_spawner.contract import HUB_VARIABLES, PROGRAMS, SOCKET_ENDS, USER_PROGRAMS
from savu_spawner.environment import SessionSettings
from savu_spawner.identity import Group
from savu_spawner.pod import ContainerSettings, DataVolume, Notebook, PodSettings, session_pod
from savu_spawner.pod.notebook import Contradiction, take_apart
from tests.support.identities import ADA

GOLDEN = Path(__file__).parent / "golden"

SESSION = SessionSettings(
    prefix="/user/ada/",
    server_name="",
    hub_url="/hub/",
    support_contact="the helpdesk",
    data_roots=("/dls",),
    visit_path_template="/dls/{instrument}/data/{year}/{visit}",
)
CLAIM = DataVolume("/dls", {"persistentVolumeClaim": {"claimName": "dls"}})
SETTINGS = PodSettings(
    containers={
        program: ContainerSettings(
            f"savu-{program}:1", {"limits": {"memory": "1Gi"}, "requests": {"cpu": "100m"}}
        )
        for program in PROGRAMS
    },
    data_volumes=(CLAIM,),
    service_uid=64180,
    service_gid=64180,
)


def kubespawners_pod(**notebook: Any) -> dict[str, Any]:
    """A pod as KubeSpawner makes it, as JSON."""
    container = {
        "name": "notebook",
        "image": "quay.io/jupyter/base-notebook",
        "args": ["jupyterhub-singleuser"],
        "ports": [{"name": "notebook-port", "containerPort": 8888}],
        "env": [
            {"name": "JPY_API_TOKEN", "value": "the-token"},
            {"name": "JUPYTERHUB_API_TOKEN", "value": "the-token"},
            {"name": "JUPYTERHUB_USER", "value": "ada"},
            {"name": "MEM_LIMIT", "value": "1073741824"},
            {"name": "OMP_NUM_THREADS", "value": "4"},
            {"name": "FROM_THE_HUBS_OWN_ENVIRONMENT", "value": "secret"},
        ],
        "lifecycle": {"preStop": {"exec": {"command": ["sync"]}}},
        "resources": {"limits": {"memory": 1073741824}, "requests": {}},
        "securityContext": {"allowPrivilegeEscalation": False, "runAsUser": 1000},
        "volumeMounts": [
            {"name": "volume-ada", "mountPath": "/home/jovyan"},
            {"name": "software", "mountPath": "/dls_sw", "readOnly": True},
        ],
    } | notebook
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "jupyter-ada", "labels": {"app": "jupyterhub"}, "annotations": {}},
        "spec": {
            "automountServiceAccountToken": False,
            "containers": [container, {"name": "helper", "image": "helper:1"}],
            "initContainers": [
                {
                    "name": "block-cloud-metadata",
                    "image": "network-tools:1",
                    "securityContext": {
                        "privileged": True,
                        "runAsUser": 0,
                        "capabilities": {"add": ["NET_ADMIN"]},
                    },
                },
                {"name": "warm-up", "image": "warm-up:1"},
            ],
            "restartPolicy": "OnFailure",
            "securityContext": {"fsGroup": 100, "seLinuxOptions": {"level": "s0:c1,c2"}},
            "volumes": [
                {"name": "volume-ada", "persistentVolumeClaim": {"claimName": "claim-ada"}},
                {"name": "software", "hostPath": {"path": "/dls_sw"}},
            ],
        },
    }


def taken_apart(pod: dict[str, Any] | None = None) -> Notebook:
    return take_apart(pod or kubespawners_pod(), frozenset({"OMP_NUM_THREADS"}), "claim-ada")


BARE = Notebook(
    pod={
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "savu-ada"},
        "spec": {"securityContext": {}, "containers": [], "volumes": []},
    },
    hub_variables=[],
    variables=[],
    resources={},
    volume_mounts=[],
    security={},
    other_settings={},
    not_applied=(),
)

CASES = {
    "claim": (SETTINGS, BARE),
    "host-path-with-automounter": (
        replace(
            SETTINGS,
            data_volumes=(
                DataVolume(
                    "/dls", {"hostPath": {"path": "/dls", "type": "Directory"}}, "HostToContainer"
                ),
                DataVolume("/home", {"nfs": {"server": "nfs", "path": "/"}}, sub_path="home"),
            ),
            state_dir="/home/ada/.savu",
            supplemental_groups_policy="Strict",
        ),
        BARE,
    ),
    "images-take-the-identity": (replace(SETTINGS, run_as="image"), BARE),
    "zero-to-jupyterhub": (replace(SETTINGS, hub_id="i12"), taken_apart()),
    "foreign-programs": (
        replace(SETTINGS, run_as="image", foreign_programs={"api": 5000, "dataserver": 8080}),
        BARE,
    ),
    "command-line": (replace(SETTINGS, hub_id=None, link_key_secret="savu-ada"), BARE),
}


def pod_of(case: str) -> dict[str, Any]:
    settings, notebook = CASES[case]
    return session_pod(ADA, SESSION, settings, notebook)


def container_of(pod: dict[str, Any], name: str) -> dict[str, Any]:
    (found,) = [c for c in pod["spec"]["containers"] if c["name"] == name]
    return found


def mounts_of(pod: dict[str, Any], name: str) -> dict[str, bool]:
    """Mounted volumes, and whether they can be written."""
    return {
        mount["name"]: not mount.get("readOnly", False)
        for mount in container_of(pod, name)["volumeMounts"]
    }


def fields(value: Any, path: str = "") -> dict[str, Any]:
    """Every leaf of a manifest by its path; items of lists by their name where they have one."""
    if isinstance(value, dict) and value:
        return {k: v for key in value for k, v in fields(value[key], f"{path}.{key}").items()}
    if isinstance(value, list) and value:
        leaves = {}
        for index, item in enumerate(value):
            name = item.get("name", "") if isinstance(item, dict) else ""
            leaves |= fields(item, f"{path}[{index}{' ' if name else ''}{name}]")
        return leaves
    return {path: value}


@pytest.mark.parametrize("case", CASES)
def test_manifest_is_the_golden_one(case: str) -> None:
    path = GOLDEN / f"{case}.yaml"
    made = pod_of(case)
    if os.environ.get("UPDATE_GOLDEN"):
        path.write_text(yaml.safe_dump(made, sort_keys=False))
    golden, made = fields(yaml.safe_load(path.read_text())), fields(made)
    differences = {
        field: (golden.get(field, "absent"), made.get(field, "absent"))
        for field in golden.keys() | made.keys()
        if golden.get(field, "absent") != made.get(field, "absent")
    }
    assert not differences, f"golden and made differ in {json.dumps(differences, indent=1)}"


@pytest.mark.parametrize("case", CASES)
async def test_manifest_survives_the_kubernetes_clients_own_model(case: str) -> None:
    made = pod_of(case)
    async with ApiClient(Configuration()) as client:
        model = client.deserialize(SimpleNamespace(data=json.dumps(made)), "V1Pod")
        assert fields(client.sanitize_for_serialization(model)) == fields(made)


@pytest.mark.parametrize("case", CASES)
def test_web_comes_first_and_every_container_declares_its_ports(case: str) -> None:
    containers = pod_of(case)["spec"]["containers"]
    assert [c["name"] for c in containers][:4] == list(PROGRAMS)
    assert all(isinstance(c["ports"], list) for c in containers)
    assert {"name": "notebook-port", "containerPort": 8888} in containers[0]["ports"]


@pytest.mark.parametrize("case", CASES)
def test_only_the_gate_has_variables_of_the_hub(case: str) -> None:
    for container in pod_of(case)["spec"]["containers"]:
        if container["name"] != "gate":
            names = [v["name"] for v in container.get("env", [])]
            assert not [name for name in names if name.startswith(HUB_VARIABLES)]


def test_the_hubs_token_reaches_the_gate_and_its_own_environment_nobody() -> None:
    pod = pod_of("zero-to-jupyterhub")
    gate = {v["name"]: v.get("value") for v in container_of(pod, "gate")["env"]}
    assert gate["JUPYTERHUB_API_TOKEN"] == "the-token"
    assert "secret" not in json.dumps(pod)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("edge", SOCKET_ENDS)
def test_a_sockets_directory_is_mounted_at_its_ends_only(case: str, edge: str) -> None:
    pod = pod_of(case)
    volume = f"{edge}-socket"
    ends = {p: mounts_of(pod, p)[volume] for p in PROGRAMS if volume in mounts_of(pod, p)}
    assert ends.keys() == SOCKET_ENDS[edge]
    assert [program for program, writable in ends.items() if writable] == [edge]


@pytest.mark.parametrize("case", CASES)
def test_data_is_writable_in_api_read_only_in_dataserver_and_nowhere_else(case: str) -> None:
    settings, _ = CASES[case]
    pod = pod_of(case)
    for volume in settings.data_volumes:
        seen = {p: mounts_of(pod, p).get(volume.name) for p in PROGRAMS}
        assert seen == {"web": None, "gate": None, "api": True, "dataserver": False}


@pytest.mark.parametrize("case", ["claim", "host-path-with-automounter", "zero-to-jupyterhub"])
def test_every_process_has_the_users_identity_or_nobodys(case: str) -> None:
    pod = pod_of(case)
    whole = pod["spec"]["securityContext"]
    assert (whole["runAsUser"], whole["runAsGroup"], whole["runAsNonRoot"]) == (37001, 37001, True)
    assert whole["supplementalGroups"] == [41001, 41002]
    assert "fsGroup" not in whole
    for program in PROGRAMS:
        own = container_of(pod, program)["securityContext"]
        expected = None if program in USER_PROGRAMS else 64180
        assert (own.get("runAsUser"), own.get("runAsGroup")) == (expected, expected)
        assert own["readOnlyRootFilesystem"] is True


@pytest.mark.parametrize("case", CASES)
def test_no_container_can_gain_privileges(case: str) -> None:
    pod = pod_of(case)
    assert pod["spec"]["automountServiceAccountToken"] is False
    assert pod["spec"]["shareProcessNamespace"] is False
    assert pod["spec"]["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    for program in PROGRAMS:
        own = container_of(pod, program)["securityContext"]
        assert own["allowPrivilegeEscalation"] is False
        assert own["capabilities"]["drop"] == ["ALL"]


def test_a_container_that_an_administrator_adds_inherits_the_users_identity() -> None:
    helper = container_of(pod_of("zero-to-jupyterhub"), "helper")
    assert "runAsUser" not in helper["securityContext"]
    assert helper["securityContext"]["allowPrivilegeEscalation"] is False
    assert helper["ports"] == []


def test_what_a_notebook_was_given_goes_to_api() -> None:
    pod = pod_of("zero-to-jupyterhub")
    api = container_of(pod, "api")
    env = {v["name"]: v["value"] for v in api["env"]}
    assert (env["OMP_NUM_THREADS"], env["MEM_LIMIT"]) == ("4", "1073741824")
    assert api["resources"] == {"limits": {"memory": "1073741824"}}
    assert api["lifecycle"] == {"preStop": {"exec": {"command": ["sync"]}}}
    assert mounts_of(pod, "api")["software"] is False
    assert api["image"] == "savu-api:1"
    assert not any("software" in mounts_of(pod, p) for p in ("web", "gate", "dataserver"))


def test_what_the_chart_sets_for_notebooks_is_left_out_with_a_line_each() -> None:
    _, notebook = CASES["zero-to-jupyterhub"]
    pod = pod_of("zero-to-jupyterhub")
    assert [c["name"] for c in pod["spec"]["initContainers"]] == ["warm-up"]
    assert "volume-ada" not in json.dumps(pod)
    assert "jupyterhub-singleuser" not in json.dumps(pod)
    said = "\n".join(notebook.not_applied)
    for what in ("runAsUser 1000", "cmd and args", "fs_gid 100", "volume-ada", "block-cloud-meta"):
        assert what in said


def test_variables_of_the_contract_win_over_an_administrators() -> None:
    pod = kubespawners_pod(env=[{"name": "DATA_ROOTS", "value": "/"}])
    notebook = take_apart(pod, frozenset({"DATA_ROOTS"}), "")
    env = container_of(session_pod(ADA, SESSION, SETTINGS, notebook), "api")["env"]
    assert [v["value"] for v in env if v["name"] == "DATA_ROOTS"] == ["/dls"]


@pytest.mark.parametrize(
    "change",
    [
        {"hostNetwork": True},
        {"hostPID": True},
        {"shareProcessNamespace": True},
        {"automountServiceAccountToken": True},
        {"securityContext": {"runAsUser": 0}},
        {"securityContext": {"supplementalGroups": [0]}},
        {"securityContext": {"runAsNonRoot": False}},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_pod_setting_against_identity_or_isolation_is_refused(change: dict[str, Any]) -> None:
    pod = kubespawners_pod()
    pod["spec"] |= change
    with pytest.raises(Contradiction):
        taken_apart(pod)


@pytest.mark.parametrize(
    "context",
    [{"privileged": True}, {"allowPrivilegeEscalation": True}, {"capabilities": {"add": ["ALL"]}}],
    ids=lambda context: next(iter(context)),
)
def test_a_container_setting_against_isolation_is_refused(context: dict[str, Any]) -> None:
    with pytest.raises(Contradiction, match=next(iter(context))):
        taken_apart(kubespawners_pod(securityContext=context))


def test_a_privileged_container_that_an_administrator_adds_is_refused() -> None:
    pod = kubespawners_pod()
    pod["spec"]["containers"][1]["securityContext"] = {"privileged": True}
    with pytest.raises(Contradiction, match="helper"):
        taken_apart(pod)


def test_selinux_and_apparmor_settings_of_notebooks_reach_api() -> None:
    context = {"seLinuxOptions": {"type": "spc_t"}, "allowPrivilegeEscalation": False}
    notebook = taken_apart(kubespawners_pod(securityContext=context))
    api = container_of(session_pod(ADA, SESSION, SETTINGS, notebook), "api")
    assert api["securityContext"]["seLinuxOptions"] == {"type": "spc_t"}
    assert api["securityContext"]["readOnlyRootFilesystem"] is True


def against_restricted(pod: dict[str, Any]) -> set[str]:
    """What the pod security standard *restricted* would refuse in this pod."""
    spec, found = pod["spec"], set()
    allowed = {"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "projected", "secret"}
    for volume in spec["volumes"]:
        found |= volume.keys() - allowed - {"name", "persistentVolumeClaim"}
    whole = spec["securityContext"]
    if whole.get("seccompProfile", {}).get("type") not in {"RuntimeDefault", "Localhost"}:
        found.add("seccompProfile")
    for container in [*spec["containers"], *spec.get("initContainers", [])]:
        own = whole | container.get("securityContext", {})
        if own.get("allowPrivilegeEscalation") is not False:
            found.add("allowPrivilegeEscalation")
        if own.get("runAsNonRoot") is not True or own.get("runAsUser") == 0:
            found.add("runAsNonRoot")
        capabilities = own.get("capabilities", {})
        if capabilities.get("drop") != ["ALL"] or capabilities.get("add"):
            found.add("capabilities")
        if any("hostPort" in port for port in container.get("ports", [])):
            found.add("hostPort")
    return found


@pytest.mark.parametrize(
    ("case", "refused"),
    [
        ("claim", set()),
        ("host-path-with-automounter", {"hostPath", "nfs"}),
        ("zero-to-jupyterhub", {"hostPath"}),
        ("images-take-the-identity", {"runAsNonRoot", "capabilities"}),
    ],
)
def test_only_volumes_and_images_that_start_as_root_are_against_the_restricted_standard(
    case: str, refused: set[str]
) -> None:
    assert against_restricted(pod_of(case)) == refused


@pytest.mark.parametrize(
    "identity",
    [
        replace(ADA, uid=0),
        replace(ADA, group=Group("root", 0)),
        replace(ADA, groups=(Group("root", 0),)),
        replace(ADA, uid=64180),
        replace(ADA, groups=(Group("guards", 64180),)),
    ],
    ids=["uid 0", "gid 0", "supplementary gid 0", "uid of the gate", "gid of the gate"],
)
def test_no_pod_is_made_for_roots_identity_or_the_gates(identity: Any) -> None:
    with pytest.raises(ValueError, match="ada has"):
        session_pod(identity, SESSION, SETTINGS, BARE)


def test_a_data_root_outside_the_data_volumes_is_refused() -> None:
    with pytest.raises(ValueError, match="/scratch"):
        session_pod(ADA, replace(SESSION, data_roots=("/scratch",)), SETTINGS, BARE)


def test_two_data_volumes_at_one_path_are_refused() -> None:
    with pytest.raises(ValueError, match="same mount path"):
        session_pod(ADA, SESSION, replace(SETTINGS, data_volumes=(CLAIM, CLAIM)), BARE)


@pytest.mark.parametrize(
    "described",
    [
        {"mountPath": "dls", "volume": {"nfs": {}}},
        {"mountPath": "/a/../b", "volume": {"nfs": {}}},
        {"mountPath": "/dls"},
        {"mountPath": "/dls", "volume": {"nfs": {}, "hostPath": {}}},
        {"mountPath": "/dls", "volume": {"nfs": {}}, "readOnly": False},
    ],
    ids=["relative", "not plain", "no source", "two sources", "unknown key"],
)
def test_a_data_volume_that_is_not_understood_is_refused(described: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="data volume"):
        DataVolume.parse(described)


def test_names_from_the_directory_cannot_break_out_of_passwd_or_group() -> None:
    identity = replace(
        ADA, display_name="Ada\nroot2:x:0:0", groups=(Group("a:x:0:evil\nroot", 41001),)
    )
    session = replace(SESSION)
    annotations = session_pod(identity, session, SETTINGS, BARE)["metadata"]["annotations"]
    for text in annotations.values():
        for line in text.splitlines():
            name, _, number, *_ = line.split(":")
            assert (number == "0") == (name == "root")


def test_names_are_not_expanded_as_references_to_variables() -> None:
    identity = replace(ADA, display_name="$(HOME) & Sons")
    env = container_of(session_pod(identity, SESSION, SETTINGS, BARE), "api")["env"]
    assert {"name": "SESSION_DISPLAY_NAME", "value": "$$(HOME) & Sons"} in env
