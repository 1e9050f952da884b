"""``make kubernetes-demo``: the demo on a cluster, and how to use it; ``down`` removes it.

It goes to the cluster that kubectl speaks to.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from demo.bed import CHECKOUT, HERE, DemoError, answers
from demo.certificates import Authority
from demo.slapd import with_passwords
from demo.story import Story, StoryError
from dev.cluster import Cluster
from dev.cluster.layout import INSIDE

OVERLAY = CHECKOUT / "kubernetes" / "overlays" / "demo"
SITE_CONFIG = "site_config.py"
NAMESPACE = "savu-demo"
SETUP_NAMESPACE = "savu-demo-setup"
CLUSTER_WIDE = (
    "persistentvolume/savu-demo-data",
    "persistentvolume/savu-demo-hub-database",
)
MACHINE_LABEL = "savu-spawner/demo"
REPOSITORY = "localhost"
FOLDER = "/var/lib/savu-demo"

PULLING_FAILED = {"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull"}

ACCOUNTS = """
  ada        a scientist of visit cm10001-1, where the sample scan is
  alan       her colleague, of the same visit
  grace      a scientist of visit cm10002-1
  hubadmin   the hub's administrator
  backup, toor, halfway   are refused, each for another reason
"""

Json = dict[str, Any]


class Kubectl:
    """kubectl, for one cluster.

    Args:
        program: kubectl, or what behaves like it.
        kubeconfig: the file that names the cluster.
    """

    def __init__(self, program: str, kubeconfig: str) -> None:
        self.program = program
        self._command = [program, f"--kubeconfig={kubeconfig}"]

    @classmethod
    def chosen(cls) -> Kubectl:
        """For the cluster that KUBECONFIG names, else for the development cluster.

        Raises:
            DemoError: there is neither.
        """
        development = Cluster()
        kubeconfig = os.environ.get("KUBECONFIG")
        if not kubeconfig:
            if not development.is_running:
                raise DemoError(
                    "There is no cluster: `make cluster` starts one, or set KUBECONFIG."
                )
            kubeconfig = str(development.kubeconfig)
        return cls(kubectl_program(), kubeconfig)

    def __call__(self, *words: str, stdin: str = "") -> str:
        """What kubectl prints.

        Raises:
            DemoError: it failed; with its own words.
        """
        done = subprocess.run(
            [*self._command, *words], input=stdin, capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            raise DemoError(f"kubectl {' '.join(words)}:\n{done.stderr.strip()}")
        return done.stdout

    def get(self, *words: str) -> Json:
        """An object, or a list of them."""
        found: Json = json.loads(self("get", *words, "-o", "json"))
        return found

    def find(self, *words: str) -> Json | None:
        """An object, or None if there is none."""
        text = self("get", *words, "-o", "json", "--ignore-not-found")
        return json.loads(text) if text.strip() else None

    def apply(self, *objects: Json) -> None:
        """Make objects, or change them to be like this; they are in no command line."""
        listed = {"apiVersion": "v1", "kind": "List", "items": objects}
        self("apply", "-f", "-", stdin=json.dumps(listed))


@dataclass
class KubernetesDemo:
    """The demo in a cluster, once it runs.

    Args:
        kubectl: speaks to the cluster.
        repository: where the images are.
        password: of all accounts; empty to keep the one of the last time, or make one.
        volumes: folder of the cluster's machine in which data and database are; empty for the
            usual one.
        say: told how far the start is.
    """

    kubectl: Kubectl
    repository: str = REPOSITORY
    password: str = ""
    volumes: str = ""
    say: Callable[[str], None] = lambda _: None
    url: str = ""
    folder: Path = CHECKOUT / ".demo"
    """On this machine, for the story's picture."""
    protects_files: bool = True
    """Every session runs as its own user."""

    def __post_init__(self) -> None:
        if not self.volumes:
            current = self.kubectl(
                "config", "view", "--minify", "-o", "jsonpath={..cluster.server}"
            )
            known = Cluster().kubeconfig
            ours = known.exists() and current and current in known.read_text()
            # The development cluster's machines have this disk only for what is in its own folder.
            self.volumes = str(INSIDE.folder / "demo") if ours else FOLDER

    def up(self) -> None:
        """Apply everything and wait until the login page answers.

        Raises:
            DemoError: something cannot become ready; the sentence says what and why.
        """
        self._require_cluster()
        self._choose_machine()
        self.say("sample data: two visits, one scan each, on a volume of the cluster's machine")
        self._apply(OVERLAY / "setup")
        self._await(SETUP_NAMESPACE, _job_is_done)
        self.say("secrets: the directory's certificate and accounts, the proxy's token")
        self._make_secrets()
        self.say("hub, proxy, directory, and the policies that bound them")
        self._apply(OVERLAY)
        self._await(NAMESPACE, _all_are_ready)
        self.url = self._reachable_url()

    def down(self) -> None:
        """Remove all but the data on the machine's disk and the admission policy; sessions end.

        The policy is the cluster's and bounds only namespaces with its label. An API server (seen
        with 1.34) finds no parameters for a policy that was removed and made anew, until it is
        restarted itself: every session would be refused.
        """
        self._require_cluster()
        for name in (NAMESPACE, SETUP_NAMESPACE):
            self.say(f"removing the namespace {name}")
            self.kubectl("delete", "namespace", name, "--ignore-not-found")
        self.kubectl("delete", *CLUSTER_WIDE, "--ignore-not-found")
        self.kubectl("label", "nodes", "--all", f"{MACHINE_LABEL}-")

    # -- Parts of the start -----------------------------------------------------------------------

    def _require_cluster(self) -> None:
        try:
            self.kubectl("get", "--raw", "/readyz", "--request-timeout=10s")
        except DemoError as error:
            raise DemoError(
                f"The cluster does not answer: see `make cluster`, or set KUBECONFIG.\n{error}"
            ) from None

    def _choose_machine(self) -> None:
        machines = self.kubectl.get("nodes")["items"]
        if any(MACHINE_LABEL in machine["metadata"]["labels"] for machine in machines):
            return
        usable = [machine for machine in machines if _takes_pods(machine)]
        if not usable:
            raise DemoError("No machine of the cluster is ready for pods: kubectl get nodes")
        self.kubectl("label", "node", usable[0]["metadata"]["name"], f"{MACHINE_LABEL}=data")

    def _make_secrets(self) -> None:
        if self.kubectl.find("namespace", NAMESPACE) is None:
            # With its labels, from the start.
            rendered = self.rendered(OVERLAY)
            self.kubectl("apply", "-f", "-", stdin=_first_document(rendered, "Namespace"))
        if self._secret("proxy") is None:
            self.kubectl.apply(_secret("proxy", token=secrets.token_hex(32)))
        kept = self._secret("demo-password")
        known = base64.b64decode(kept["data"]["password"]).decode() if kept else ""
        self.password = self.password or known or secrets.token_hex(4)
        if self.password != known or self._secret("directory") is None:
            authority = Authority.new()
            certificate, key = authority.certify(["directory", f"directory.{NAMESPACE}.svc"])
            self.kubectl.apply(
                _secret("demo-password", password=self.password),
                _secret(
                    "directory",
                    **{
                        "ca.crt": authority.certificate.decode(),
                        "tls.crt": certificate.decode(),
                        "tls.key": key.decode(),
                        "users.ldif": with_passwords(
                            (HERE / "users.ldif").read_text(), self.password
                        ),
                    },
                ),
            )
            if known:
                for name in ("directory", "hub"):
                    self.kubectl("-n", NAMESPACE, "rollout", "restart", f"deployment/{name}")

    def _secret(self, name: str) -> Json | None:
        return self.kubectl.find("secret", name, "-n", NAMESPACE)

    def _apply(self, folder: Path) -> None:
        self.kubectl("apply", "-f", "-", stdin=self.rendered(folder))

    def rendered(self, folder: Path) -> str:
        """What kustomize makes of ``folder``, with this demo's images and disk."""
        if self.repository == REPOSITORY and self.volumes == FOLDER:
            return self.kubectl("kustomize", str(folder))
        with tempfile.TemporaryDirectory() as name:
            derived = Path(name).resolve()
            made = derived_kustomization(folder, self.repository, self.volumes)
            # Kustomize takes no absolute paths.
            made["resources"] = [os.path.relpath(folder, derived)]
            (derived / "kustomization.yaml").write_text(json.dumps(made))
            site = (OVERLAY / SITE_CONFIG).read_text()
            (derived / SITE_CONFIG).write_text(
                site.replace(f'"{REPOSITORY}"', json.dumps(self.repository))
            )
            return self.kubectl("kustomize", str(derived))

    def _reachable_url(self) -> str:
        port = self.kubectl.get("service", "proxy", "-n", NAMESPACE)["spec"]["ports"][0]["nodePort"]
        addresses = [
            address["address"]
            for machine in self.kubectl.get("nodes")["items"]
            for address in machine["status"]["addresses"]
            if address["type"] in ("ExternalIP", "InternalIP")
        ]
        for address in addresses:
            url = f"http://[{address}]:{port}/" if ":" in address else f"http://{address}:{port}/"
            if _answers_within(f"{url}hub/health", 5):
                return url
        raise DemoError(
            f"Everything runs, but port {port} of the cluster's machines"
            f" ({', '.join(addresses)}) cannot be reached from here. Run\n\n"
            f"    kubectl -n {NAMESPACE} port-forward service/proxy 8000:80\n\n"
            f"and open http://127.0.0.1:8000/   password {self.password}"
        )

    # -- Waiting ----------------------------------------------------------------------------------

    def _await(
        self, namespace: str, done: Callable[[Kubectl, str], bool], seconds: float = 300
    ) -> None:
        said: set[str] = set()
        deadline = time.monotonic() + seconds
        while not done(self.kubectl, namespace):
            sentences = list(_states(self.kubectl.get("pods", "-n", namespace)["items"]))
            for sentence in sentences:
                if sentence not in said:
                    said.add(sentence)
                    self.say(f"  {sentence}")
            if time.monotonic() > deadline:
                states = "; ".join(sentences) or "no pod was made"
                raise DemoError(
                    f"Not ready within {seconds:.0f} s: {states}."
                    f"\nLook at: kubectl -n {namespace} get events"
                )
            time.sleep(1)


def kubectl_program() -> str:
    """kubectl of KUBECTL, of this machine, or the development cluster's.

    Raises:
        DemoError: there is none.
    """
    built = Cluster().kubectl
    found = os.environ.get("KUBECTL") or shutil.which("kubectl")
    if not found and not built.exists():
        raise DemoError("kubectl is not installed: `make cluster` brings one, or set KUBECTL.")
    return found or str(built)


def derived_kustomization(folder: Path, repository: str, volumes: str) -> Json:
    """What ``folder`` becomes for other images and another disk.

    Args:
        repository: where the images are.
        volumes: the folder of the cluster's machine.
    """
    names = ("savu-hub", "savu-proxy", "savu-directory", "savu-api")
    made: Json = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "images": [
            {"name": f"{REPOSITORY}/{name}", "newName": f"{repository}/{name}"} for name in names
        ],
    }
    if folder.name == "setup":
        where = "/spec/template/spec/volumes/0/hostPath/path"
        made["patches"] = [_replacing("Job", "sample-data", where, volumes)]
        return made
    made["patches"] = [
        _replacing(
            "PersistentVolume",
            f"savu-demo-{name}",
            "/spec/hostPath/path",
            f"{volumes}/{name}",
        )
        for name in ("data", "hub-database")
    ]
    made["patches"].append(
        _replacing("ConfigMap", "session-bounds", "/data/image-prefixes", f"{repository}/savu-\n")
    )
    made["configMapGenerator"] = [
        {
            "name": "hub-config",
            "namespace": NAMESPACE,
            "behavior": "merge",
            "files": [SITE_CONFIG],
        }
    ]
    return made


def _replacing(kind: str, name: str, path: str, value: str) -> Json:
    operation = [{"op": "replace", "path": path, "value": value}]
    return {"target": {"kind": kind, "name": name}, "patch": json.dumps(operation)}


def _secret(name: str, **data: str) -> Json:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "stringData": data,
    }


def _first_document(rendered: str, kind: str) -> str:
    return next(
        document for document in rendered.split("\n---\n") if f"\nkind: {kind}\n" in document
    )


def _takes_pods(machine: Json) -> bool:
    ready = any(
        condition["type"] == "Ready" and condition["status"] == "True"
        for condition in machine["status"]["conditions"]
    )
    taints = machine["spec"].get("taints", [])
    return ready and not any(taint["effect"] in ("NoSchedule", "NoExecute") for taint in taints)


def _job_is_done(kubectl: Kubectl, namespace: str) -> bool:
    job = kubectl.get("job", "sample-data", "-n", namespace)
    for condition in job["status"].get("conditions", []):
        if condition["type"] == "Failed" and condition["status"] == "True":
            log = kubectl("-n", namespace, "logs", "job/sample-data", "--tail=20")
            raise DemoError(f"The sample data could not be made:\n{log}")
    return bool(job["status"].get("succeeded"))


def _all_are_ready(kubectl: Kubectl, namespace: str) -> bool:
    deployments = kubectl.get("deployments", "-n", namespace)["items"]
    return all(
        deployment["status"].get("observedGeneration") == deployment["metadata"]["generation"]
        and deployment["status"].get("updatedReplicas") == deployment["spec"]["replicas"]
        and deployment["status"].get("readyReplicas") == deployment["spec"]["replicas"]
        for deployment in deployments
    )


def _states(pods: list[Json]) -> Iterator[str]:
    """What each pod that is not ready waits for.

    Raises:
        DemoError: one whose image cannot be had.
    """
    for pod in pods:
        name = pod["metadata"]["labels"].get("app.kubernetes.io/name", pod["metadata"]["name"])
        for status in pod["status"].get("containerStatuses", []):
            waiting = status["state"].get("waiting", {})
            if waiting.get("reason") in PULLING_FAILED:
                raise DemoError(
                    f"The cluster cannot get the image {status['image']}"
                    f" ({waiting.get('message', waiting['reason'])}): run `make images` first."
                )
            if waiting.get("reason") == "CrashLoopBackOff":
                yield f"{name}: ends again and again, see kubectl logs"
            elif waiting:
                yield f"{name}: starting"
            elif status["ready"]:
                yield f"{name}: ready"
            elif "running" in status["state"]:
                yield f"{name}: runs, not ready yet"
        for condition in pod["status"].get("conditions", []):
            if condition.get("reason") == "Unschedulable":
                yield f"{name}: no machine takes it: {condition['message']}"


def _answers_within(url: str, seconds: float) -> bool:
    # kube-proxy needs a moment for a new service.
    deadline = time.monotonic() + seconds
    while not answers(url):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.2)
    return True


def main() -> int:
    """``python -m demo.kubernetes {up,down}``; the exit code."""
    arguments = _arguments()
    begun = time.monotonic()

    def say(sentence: str) -> None:
        print(f"  {time.monotonic() - begun:5.1f} s  {sentence}", flush=True)

    try:
        demo = KubernetesDemo(
            Kubectl.chosen(), arguments.repository, arguments.password, arguments.volumes, say
        )
        if arguments.what == "down":
            demo.down()
            print(f"\nRemoved. Data and lists are kept on the machine, in {demo.volumes}")
            return 0
        demo.up()
        if arguments.story:
            demo.folder.mkdir(exist_ok=True)
            Story(demo, say).play()
            return 0
    except (DemoError, StoryError) as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    print(f"\nOpen     {demo.url}\nPassword {demo.password}   (the same for all accounts)")
    print(ACCOUNTS)
    print("make kubernetes-demo-down removes it.", flush=True)
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make kubernetes-demo")
    parser.add_argument("what", choices=["up", "down"])
    parser.add_argument(
        "--repository",
        default=os.environ.get("IMAGE_REPOSITORY") or REPOSITORY,
        help="where the cluster gets the images from",
    )
    parser.add_argument("--password", default=os.environ.get("DEMO_PASSWORD", ""))
    parser.add_argument(
        "--volumes",
        default=os.environ.get("DEMO_VOLUMES", ""),
        help="folder of the cluster's machine for data and database",
    )
    parser.add_argument("--story", action="store_true", help="play the tutorial's steps and end")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
