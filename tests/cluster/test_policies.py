"""What bounds hub, proxy and sessions on Kubernetes holds, and breaks nothing.

Network policies are tried between pods that answer where hub, proxy, directory and sessions do,
under the demo's own policies; that nothing else is broken by them is shown by test_demo.py, whose
sessions work under the same.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import yaml

from demo.bed import DemoError
from demo.kubernetes import Kubectl, kubectl_program
from dev.cluster import Cluster, programs, write_image
from savu_spawner.identity import Group, Identity
from savu_spawner.spawner import serialized
from tests.cluster.conftest import TestCluster
from tests.support.kubernetes import KnownPeople, kubeconfig, make_spawner
from tests.support.kustomize import FOLDERS, rendered
from tests.support.people import ROOT
from tests.support.site_configuration import PRODUCTION, configured, files_of_the_how_to

OVERLAY = ROOT / "kubernetes" / "overlays" / "demo"
BOUNDS = {
    "Namespace",
    "ServiceAccount",
    "Role",
    "RoleBinding",
    "NetworkPolicy",
    "ValidatingAdmissionPolicy",
    "ValidatingAdmissionPolicyBinding",
}
IMAGE = "localhost/probe:1"
UNCHECKED = ("-f", "-", "--validate=false")
"""kubectl's own checks need rights that the hub does not have; the API server checks anyway."""
PATIENCE = 60
"""Seconds after which something that needs a moment never comes."""

ADA = Identity("ada", "Ada Lovelace", 21001, Group("ada", 21001), (Group("cm10001_1", 31001),))

Json = dict[str, Any]


@pytest.fixture(scope="module")
def kubectl(cluster: TestCluster) -> Kubectl:
    return Kubectl(kubectl_program(), str(cluster.kubeconfig))


@pytest.fixture(scope="module")
def namespace(kubectl: Kubectl) -> Iterator[str]:
    """A namespace with everything of the demo that bounds, and nothing that runs."""
    name = f"test-{uuid4().hex[:10]}"
    objects = [
        found
        for found in rendered(kubectl, OVERLAY, name)
        if found["kind"] in BOUNDS or found["metadata"]["name"] == "session-bounds"
    ]
    for found in objects:
        if found["kind"] == "Namespace":
            # What Pod Security refuses would never reach our own policy, which must hold by itself
            # where data is not behind a claim.
            found["metadata"]["labels"].pop("pod-security.kubernetes.io/enforce")
        if found["metadata"]["name"] == "session-bounds":
            # What stands for sessions, below.
            found["data"]["image-prefixes"] += f"{IMAGE}\n"
    kubectl.apply(*objects)
    try:
        kubectl("wait", "--for=create", "serviceaccount/default", "-n", name, "--timeout=60s")
        yield name
    finally:
        kubectl("delete", "namespace", name, "--wait=false")


@pytest.fixture(scope="module")
def hub(
    kubectl: Kubectl,
    namespace: str,
    cluster: TestCluster,
    tmp_path_factory: pytest.TempPathFactory,
) -> Kubectl:
    """kubectl with the hub's own token, as somebody has it who broke into the hub."""
    token = kubectl("create", "token", "hub", "-n", namespace, "--duration=1h").strip()
    settings = yaml.safe_load(cluster.kubeconfig.read_text())
    for user in settings["users"]:
        user["user"] = {"token": token}
    file = tmp_path_factory.mktemp("hub") / "kubeconfig"
    file.write_text(yaml.safe_dump(settings))
    return Kubectl(kubectl.program, str(file))


# -- What is in kubernetes/ ------------------------------------------------------------------------


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: str(folder.relative_to(ROOT)))
def test_api_server_accepts_all_that_kustomize_makes(
    kubectl: Kubectl, namespace: str, folder: Path
) -> None:
    listed = {"apiVersion": "v1", "kind": "List", "items": rendered(kubectl, folder, namespace)}
    told = kubectl("apply", "--dry-run=server", "-f", "-", stdin=json.dumps(listed))
    assert len(told.splitlines()) == len(listed["items"])


def test_overlay_of_the_how_to_is_accepted(
    kubectl: Kubectl, namespace: str, tmp_path: Path
) -> None:
    shutil.copytree(ROOT / "kubernetes" / "base", tmp_path / "base")
    overlay = tmp_path / "overlays" / "facility"
    overlay.mkdir(parents=True)
    for name, text in files_of_the_how_to().items():
        (overlay / name).write_text(text)
    objects = rendered(kubectl, overlay, namespace)
    listed = {"apiVersion": "v1", "kind": "List", "items": objects}
    kubectl("apply", "--dry-run=server", "-f", "-", stdin=json.dumps(listed))
    (config,) = (found for found in objects if found["metadata"]["name"].startswith("hub-config"))
    assert config["data"].keys() == {"jupyterhub_config.py", "site_config.py"}


# -- Rights ----------------------------------------------------------------------------------------


def test_hub_may_do_what_is_said_and_no_more(hub: Kubectl, namespace: str) -> None:
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectRulesReview",
        "spec": {"namespace": namespace},
    }
    answer = json.loads(hub("create", *UNCHECKED, "-o", "json", stdin=json.dumps(review)))
    allowed = {
        (resource, verb)
        for rule in answer["status"]["resourceRules"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
        # Everybody may ask who they are and what they may do.
        if not {"authorization.k8s.io", "authentication.k8s.io"} & set(rule["apiGroups"])
    }
    assert allowed == {
        *(("pods", verb) for verb in ("get", "list", "watch", "create", "delete")),
        *(("events", verb) for verb in ("list", "watch")),
        ("pods/log", "get"),
    }


@pytest.mark.parametrize("what", ["secrets", "configmaps", "pods", "nodes"])
def test_hub_sees_nothing_elsewhere(hub: Kubectl, what: str) -> None:
    with pytest.raises(DemoError, match="forbidden"):
        hub("get", what, "-n", "kube-system")


# -- What a session may be -------------------------------------------------------------------------


@pytest.fixture
async def session(tmp_path: Path) -> Json:
    """A session as the demo's configuration makes it."""
    with kubeconfig(tmp_path):
        spawner = make_spawner(configured(PRODUCTION, OVERLAY / "site_config.py"))
        spawner.directory = KnownPeople(ADA)
        await spawner.load_user_options()
        pod = serialized(await spawner.get_pod_manifest())
        await spawner.api.api_client.close()
    return pod


def refusal(kubectl: Kubectl, namespace: str, pod: Json) -> str:
    """What the API server says to this pod; empty if it would make it."""
    try:
        kubectl("create", "--dry-run=server", *UNCHECKED, "-n", namespace, stdin=json.dumps(pod))
    except DemoError as error:
        return str(error)
    return ""


@pytest.fixture
def policy_holds(hub: Kubectl, namespace: str, session: Json) -> None:
    """The API server takes up a new policy when it next looks."""
    bad = deepcopy(session)
    bad["spec"]["containers"][0]["image"] = "elsewhere.example/web:1"
    deadline = time.monotonic() + PATIENCE
    while "savu-session-bounds" not in refusal(hub, namespace, bad):
        assert time.monotonic() < deadline, "the policy never held"
        time.sleep(0.2)


@pytest.mark.usefixtures("policy_holds")
def test_session_as_the_hub_makes_it_is_admitted(
    hub: Kubectl, namespace: str, session: Json
) -> None:
    assert refusal(hub, namespace, session) == ""


def _set(path: str, value: Any) -> Callable[[Json], None]:
    def change(pod: Json) -> None:
        *folders, name = path.split(".")
        place: Any = pod
        for folder in folders:
            place = place[int(folder)] if folder.isdigit() else place.setdefault(folder, {})
        place[name] = value

    return change


def _add(path: str, item: Any) -> Callable[[Json], None]:
    def change(pod: Json) -> None:
        place: Any = pod
        for name in path.split("."):
            place = place[int(name)] if name.isdigit() else place.setdefault(name, [])
        place.append(item)

    return change


FOREIGN = {
    "name": "other",
    "image": "docker.io/library/alpine",
    "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
}
BAD = {
    "root-user": (_set("spec.securityContext.runAsUser", 0), "user ID of at least 1000"),
    "low-user": (_set("spec.securityContext.runAsUser", 999), "user ID of at least 1000"),
    "root-user-of-one-container": (
        _set("spec.containers.2.securityContext.runAsUser", 0),
        "user ID of at least 1000",
    ),
    "no-user": (
        lambda pod: pod["spec"]["securityContext"].pop("runAsUser"),
        "user ID of at least 1000",
    ),
    "root-group": (_set("spec.securityContext.runAsGroup", 0), "group IDs of at least 1000"),
    "low-supplementary-group": (
        _add("spec.securityContext.supplementalGroups", 42),
        "group IDs of at least 1000",
    ),
    "fs-group": (_set("spec.securityContext.fsGroup", 31002), "no fsGroup"),
    "privileged": (
        _set("spec.containers.2.securityContext", {"privileged": True}),
        "drop all capabilities",
    ),
    "capability": (
        _set("spec.containers.2.securityContext.capabilities.add", ["DAC_OVERRIDE"]),
        "drop all capabilities",
    ),
    "unconfined": (
        _set("spec.securityContext.seccompProfile.type", "Unconfined"),
        "seccomp profile",
    ),
    "host-network": (_set("spec.hostNetwork", True), "share anything of its machine"),
    "host-processes": (_set("spec.hostPID", True), "share anything of its machine"),
    "shared-processes": (
        _set("spec.shareProcessNamespace", True),
        "nor processes between containers",
    ),
    "service-account-token": (
        _set("spec.automountServiceAccountToken", True),
        "service account's token",
    ),
    "hubs-account": (_set("spec.serviceAccountName", "hub"), "service account's token"),
    "secret-in-environment": (
        _add(
            "spec.containers.2.env",
            {"name": "T", "valueFrom": {"secretKeyRef": {"name": "proxy", "key": "token"}}},
        ),
        "secrets or config maps",
    ),
    "secret-volume": (
        _add("spec.volumes", {"name": "s", "secret": {"secretName": "proxy"}}),
        "volumes of a session",
    ),
    "token-volume": (
        _add(
            "spec.volumes",
            {"name": "s", "projected": {"sources": [{"serviceAccountToken": {"path": "t"}}]}},
        ),
        "volumes of a session",
    ),
    "hubs-database": (
        _add("spec.volumes", {"name": "s", "persistentVolumeClaim": {"claimName": "hub-database"}}),
        "volumes of a session",
    ),
    "machines-disk": (
        _add("spec.volumes", {"name": "s", "hostPath": {"path": "/"}}),
        "volumes of a session",
    ),
    "other-image": (
        _set("spec.containers.2.image", "docker.io/library/alpine"),
        "images of a session must begin",
    ),
    "image-of-an-init-container": (
        _add("spec.initContainers", FOREIGN),
        "images of a session must begin",
    ),
    "not-labelled-as-a-session": (
        lambda pod: pod["metadata"].pop("labels"),
        "labelled as a session",
    ),
    "labelled-as-the-hub": (
        lambda pod: pod["metadata"]["labels"].update({"app.kubernetes.io/name": "hub"}),
        "labelled as a session",
    ),
}


@pytest.mark.usefixtures("policy_holds")
@pytest.mark.parametrize("case", BAD)
def test_bad_pod_is_refused_even_to_the_hubs_own_token(
    hub: Kubectl, namespace: str, session: Json, case: str
) -> None:
    change, sentence = BAD[case]
    change(session)
    said = refusal(hub, namespace, session)
    assert "savu-session-bounds" in said
    assert sentence in said


@pytest.mark.usefixtures("policy_holds")
def test_session_that_an_administrator_makes_is_bounded_too(
    kubectl: Kubectl, namespace: str, session: Json
) -> None:
    session["spec"]["containers"][2]["image"] = "docker.io/library/alpine"
    assert "images of a session" in refusal(kubectl, namespace, session)


@pytest.mark.usefixtures("policy_holds")
def test_without_parameters_no_session_starts(
    kubectl: Kubectl, hub: Kubectl, namespace: str, session: Json
) -> None:
    bounds = kubectl.get("configmap", "session-bounds", "-n", namespace)
    kubectl("delete", "configmap", "session-bounds", "-n", namespace)
    try:
        deadline = time.monotonic() + PATIENCE
        while "failed to configure binding" not in refusal(hub, namespace, session):
            assert time.monotonic() < deadline
            time.sleep(0.2)
    finally:
        kubectl.apply({**bounds, "metadata": {"name": "session-bounds", "namespace": namespace}})
        while refusal(hub, namespace, session):
            assert time.monotonic() < deadline
            time.sleep(0.2)


# -- Who may speak to whom -------------------------------------------------------------------------

SESSION = {"component": "singleuser-server"}
PLACES: dict[str, tuple[dict[str, str], dict[str, int]]] = {
    "session": (SESSION, {"notebook-port": 8888, "health": 8889}),
    "other-session": (SESSION, {"notebook-port": 8888}),
    "stranger": ({}, {"http": 8080}),
}
"""Labels, and the ports on which each answers; the others are as they are deployed."""


def _deployed(kubectl: Kubectl, namespace: str) -> dict[str, tuple[dict[str, str], dict[str, int]]]:
    places = {}
    for found in rendered(kubectl, OVERLAY, namespace):
        if found["kind"] == "Deployment":
            template = found["spec"]["template"]
            ports = template["spec"]["containers"][0]["ports"]
            places[found["metadata"]["name"]] = (
                template["metadata"]["labels"],
                {port["name"]: port["containerPort"] for port in ports},
            )
    return places


ALLOWED = {
    ("proxy", "hub:8081"),
    ("proxy", "session:8888"),
    ("hub", "session:8888"),
    ("hub", "proxy:8001"),
    ("hub", "hub:8081"),
    ("hub", "directory:1636"),
    ("hub", "api-server"),
    ("session", "hub:8081"),
    ("outside", "proxy:8000"),
}
FROM = ("proxy", "hub", "session", "directory", "stranger", "outside")
TO = (
    "hub:8081",
    "proxy:8000",
    "proxy:8001",
    "directory:1636",
    "session:8888",
    "session:8889",
    "other-session:8888",
    "stranger:8080",
    "api-server",
)
MAY_REACH_ITSELF = {("session", "session:8888"), ("session", "session:8889")}
"""What a pod says to itself passes no network."""
EDGES = [
    (origin, target)
    for origin in FROM
    for target in TO
    if target.split(":")[0] != origin and (origin, target) not in MAY_REACH_ITSELF
] + [("hub", "hub:8081")]


@pytest.fixture(scope="module")
def probes(
    kubectl: Kubectl,
    driver: Cluster,
    namespace: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[dict[str, tuple[str, str]]]:
    """Pods that answer where the real ones do: name → namespace and address."""
    archive = tmp_path_factory.mktemp("image") / "probe.tar"
    driver.load(write_image(archive, IMAGE, {"probe": programs.PROBE}, ["/probe"]))
    outside = f"{namespace}-outside"
    kubectl("create", "namespace", outside)
    kubectl("wait", "--for=create", "serviceaccount/default", "-n", outside, "--timeout=60s")
    pods = [
        _probe(name, namespace, labels, ports)
        for name, (labels, ports) in (PLACES | _deployed(kubectl, namespace)).items()
    ] + [_probe("outside", outside, {}, {"http": 8080})]
    try:
        kubectl.apply(*pods)
        for pod in pods:
            place = pod["metadata"]
            kubectl(
                "wait",
                "--for=condition=Ready",
                f"pod/{place['name']}",
                "-n",
                place["namespace"],
                "--timeout=120s",
            )
        found = {}
        for pod in pods:
            place = pod["metadata"]
            running = kubectl.get("pod", place["name"], "-n", place["namespace"])
            found[place["name"]] = (place["namespace"], running["status"]["podIP"])
        yield found
    finally:
        kubectl("delete", "namespace", outside, "--wait=false")


def _probe(name: str, namespace: str, labels: dict[str, str], ports: dict[str, int]) -> Json:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace, "labels": labels},
        "spec": {
            "terminationGracePeriodSeconds": 0,
            "automountServiceAccountToken": False,
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": 40001,
                "runAsGroup": 40001,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [
                {
                    "name": port_name,
                    "image": IMAGE,
                    "imagePullPolicy": "Never",
                    "args": ["serve", str(port)],
                    "ports": [{"name": port_name, "containerPort": port}],
                    # The kubelet's probes pass whatever the policies say.
                    "readinessProbe": {
                        "httpGet": {"path": "/", "port": port},
                        "periodSeconds": 1,
                    },
                    "securityContext": {
                        "allowPrivilegeEscalation": False,
                        "readOnlyRootFilesystem": True,
                        "capabilities": {"drop": ["ALL"]},
                    },
                }
                for port_name, port in ports.items()
            ],
        },
    }


def _reaches(kubectl: Kubectl, origin: tuple[str, str], pod: str, *words: str) -> bool:
    namespace, _ = origin
    try:
        kubectl("exec", "-n", namespace, pod, "--", "/probe", *words)
    except DemoError:
        return False
    return True


def test_network_policies_allow_what_is_drawn_and_nothing_else(
    kubectl: Kubectl, probes: dict[str, tuple[str, str]]
) -> None:
    api_server = kubectl.get("service", "kubernetes", "-n", "default")["spec"]["clusterIP"]

    def url(target: str) -> str:
        name, _, port = target.partition(":")
        if name == "api-server":
            # Plain HTTP to its TLS port: it answers, and that is enough.
            return f"http://{api_server}:443/"
        return f"http://{probes[name][1]}:{port}/"

    def settled(edge: tuple[str, str]) -> bool:
        origin, target = edge
        deadline = time.monotonic() + 20
        while True:
            reached = _reaches(kubectl, probes[origin], origin, "get", url(target))
            # A new pod is open until its rules are in, and a service is not there at once.
            if reached == _is_allowed(edge) or time.monotonic() > deadline:
                return reached
            time.sleep(0.5)

    with ThreadPoolExecutor(8) as pool:
        reached = dict(zip(EDGES, pool.map(settled, EDGES), strict=True))
    wrong = {edge: seen for edge, seen in reached.items() if seen != _is_allowed(edge)}
    assert not wrong


def _is_allowed(edge: tuple[str, str]) -> bool:
    origin, target = edge
    # All sessions are alike, and from outside the cluster's own servers are as they were.
    alike = (origin, target.replace("other-session", "session"))
    return alike in ALLOWED or edge == ("outside", "api-server")


@pytest.mark.parametrize(
    ("origin", "resolves"),
    [("hub", True), ("proxy", True), ("session", True), ("directory", False)],
)
def test_names_are_resolved_where_they_are_needed(
    kubectl: Kubectl, probes: dict[str, tuple[str, str]], origin: str, resolves: bool
) -> None:
    deadline = time.monotonic() + 20
    name = "kubernetes.default.svc.cluster.local"
    while _reaches(kubectl, probes[origin], origin, "resolve", name) != resolves:
        assert time.monotonic() < deadline
        time.sleep(0.5)
