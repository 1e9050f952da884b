"""A real hub for sessions on a cluster: JupyterHub, its proxy and a directory on this machine.

::

    with ClusterHub(folder, kubeconfig, namespace, address, images) as hub:
        ada = hub.person("ada")            # a browser without the pictures
        ada.ensure_session()
        hub.kill_hub()                     # sessions and proxy run on
        hub.start_hub()

The hub is outside so that a test may kill it at any moment, and look at its log and database.
"""

from __future__ import annotations

import json
import os
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import requests

from demo.bed import HERE, answers, find_node
from demo.slapd import Slapd
from demo.visitor import Visitor
from dev.cluster import Cluster, programs, write_image
from savu_spawner._version import __version__
from savu_spawner.contract import PROGRAMS

ROOT = Path(__file__).resolve().parents[2]
CONFIG = Path(__file__).with_name("cluster_hub_config.py")
PASSWORD = "correct horse"

PATIENCE = 180
"""Seconds after which something that needs a moment never comes, however busy the machine is."""

REAL_IMAGES = {program: f"localhost/savu-{program}:{__version__}" for program in PROGRAMS}
"""What `make images` loads; see tests/support/images.py."""

FAKE_IMAGES = {
    "web": "localhost/fake-web:1",
    "gate": "localhost/fake-gate:1",
    "api": "localhost/fake-api:1",
    "dataserver": "localhost/fake-dataserver:1",
}
"""Four programs that do nothing but be ready: for tests of a pod's life, not of what it does."""

FAKE_PORTS = {"web": "8888", "gate": "8889", "api": "9001", "dataserver": "9002"}
"""The gate's answers the kubelet's probes for all four: they share the pod's network."""


def load_fake_images(driver: Cluster, folder: Path) -> dict[str, str]:
    """Put the images that only are ready onto every node; their names."""
    for program, name in FAKE_IMAGES.items():
        command = ["/probe", "serve", FAKE_PORTS[program]]
        archive = folder / f"{program}.tar"
        driver.load(write_image(archive, name, {"probe": programs.PROBE}, command))
    return FAKE_IMAGES


class ClusterHub:
    """Everything of a hub that is outside the cluster; :meth:`stop` ends it all.

    Args:
        folder: for database, logs and the directory; any user may pass through it.
        kubeconfig: of an account that may do to pods what a hub does.
        namespace: where sessions are made.
        address: of this machine, as pods reach it.
        images: of each program.
        hub_id: whose the pods are.
        settings: text of further configuration, such as ``c.SavuSpawner.start_timeout = 20``.
        python: the interpreter that runs JupyterHub.
    """

    def __init__(
        self,
        folder: Path,
        kubeconfig: Path,
        namespace: str,
        address: str,
        images: Mapping[str, str],
        *,
        hub_id: str = "tests",
        settings: str = "",
        python: Path = Path(sys.executable),
    ) -> None:
        self.folder = folder
        self.hub: subprocess.Popen[bytes] | None = None
        self.url = f"http://127.0.0.1:{_free_port('127.0.0.1')}/"
        self.hub_url = f"http://{address}:{_free_port(address)}"
        self.token = secrets.token_hex(16)
        self._kubeconfig = kubeconfig
        self._python = python
        self._proxy: subprocess.Popen[bytes] | None = None
        self._proxy_api_port = _free_port("127.0.0.1")
        self._proxy_token = secrets.token_hex(16)
        self._config = folder / "jupyterhub_config.py"
        self._settings = settings
        self._slapd = Slapd(folder / "slapd", HERE / "users.ldif", password=PASSWORD)
        self._values = {
            "url": self.url,
            "hub_url": self.hub_url,
            "proxy_api_url": f"http://127.0.0.1:{self._proxy_api_port}",
            "proxy_token": self._proxy_token,
            "folder": str(folder),
            "config": str(self._config),
            "token": self.token,
            "namespace": namespace,
            "hub_id": hub_id,
            "images": dict(images),
        }

    @property
    def log_file(self) -> Path:
        """What the hub, its proxy and its caretaker say; one after another if it was killed."""
        return self.folder / "hub.log"

    @property
    def log(self) -> str:
        return self.log_file.read_text(errors="replace")

    def audited(self) -> list[dict[str, Any]]:
        """The audit lines, in order."""
        return [
            json.loads(line)["audit"]
            for line in self.log.splitlines()
            if line.startswith('{"audit"')
        ]

    # -- Start and end ----------------------------------------------------------------------------

    def start(self) -> None:
        """Start all; on return the login page answers."""
        try:
            self._config.write_text(f"load_subconfig({str(CONFIG)!r})\n{self._settings}\n")
            self._slapd.start()
            self._values |= {"ldap_url": self._slapd.url, "ldap_ca": str(self._slapd.ca_file)}
            self._start_proxy()
            self.start_hub()
        except BaseException:
            self.stop()
            raise

    def start_hub(self) -> None:
        """Start JupyterHub (again), at the address of the first time."""
        environment = os.environ | {
            "CLUSTER_HUB": json.dumps(self._values),
            "KUBECONFIG": str(self._kubeconfig),
        }
        with self.log_file.open("ab") as log:
            self.hub = subprocess.Popen(
                [str(self._python), "-m", "jupyterhub", "-f", str(self._config)],
                cwd=self.folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        self._await_hub()

    def kill_hub(self) -> None:
        """SIGKILL to JupyterHub and nothing else."""
        assert self.hub is not None
        self.hub.kill()
        self.hub.wait()
        self.hub = None

    def stop_hub(self) -> None:
        """End JupyterHub in order; sessions run on."""
        if self.hub is not None:
            self.hub.terminate()
            try:
                self.hub.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                self.kill_hub()
            self.hub = None

    def stop(self) -> None:
        """End everything on this machine; sessions are for whoever deletes the namespace."""
        self.stop_hub()
        if self._proxy is not None:
            self._proxy.terminate()
            self._proxy.wait()
            self._proxy = None
        self._slapd.stop()

    def __enter__(self) -> ClusterHub:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    # -- Asking -----------------------------------------------------------------------------------

    def person(self, name: str) -> Visitor:
        """Somebody who has logged in."""
        visitor = Visitor(self.url, name, PASSWORD)
        visitor.log_in()
        return visitor

    def api(self, method: str, path: str, **options: Any) -> requests.Response:
        """A request to the hub's API by a service that may start and stop anybody's servers.

        Not by way of the proxy, whose routes are the hub's to restore after a restart.
        """
        return requests.request(
            method,
            f"{self.hub_url}/hub/api/{path}",
            headers={"Authorization": f"token {self.token}"},
            timeout=PATIENCE,
            **options,
        )

    def server(self, user: str, server: str = "") -> dict[str, Any] | None:
        """What the hub says of a server that runs, starts or stops; None if it does neither."""
        answer = self.api("GET", f"users/{user}")
        if answer.status_code == 404:
            return None
        answer.raise_for_status()
        found: dict[str, Any] | None = (answer.json().get("servers") or {}).get(server)
        return found

    def progress(self, user: str) -> Iterator[dict[str, Any]]:
        """What is said about a start, until it has succeeded or failed."""
        with self.api("GET", f"users/{user}/server/progress", stream=True) as answer:
            answer.raise_for_status()
            for line in answer.iter_lines(chunk_size=1):
                if line.startswith(b"data:"):
                    event = json.loads(line[5:])
                    yield event
                    if event.get("ready") or event.get("failed"):
                        return

    # -- Parts of a start -------------------------------------------------------------------------

    def _start_proxy(self) -> None:
        with self.log_file.open("ab") as log:
            self._proxy = subprocess.Popen(
                [
                    find_node(),
                    str(ROOT / "node_modules/.bin/configurable-http-proxy"),
                    "--ip=127.0.0.1",
                    f"--port={self.url.rstrip('/').rpartition(':')[2]}",
                    "--api-ip=127.0.0.1",
                    f"--api-port={self._proxy_api_port}",
                    f"--default-target={self.hub_url}",
                    "--error-target",
                    f"{self.hub_url}/hub/error",
                ],
                env=os.environ | {"CONFIGPROXY_AUTH_TOKEN": self._proxy_token},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def _await_hub(self) -> None:
        assert self.hub is not None
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            if self.hub.poll() is not None:
                raise AssertionError(f"JupyterHub ended while starting:\n{self.log[-4000:]}")
            if answers(f"{self.hub_url}/hub/api/") and answers(f"{self.url}hub/health"):
                return
            time.sleep(0.05)
        raise AssertionError(f"JupyterHub did not answer in {PATIENCE} s:\n{self.log[-4000:]}")


def _free_port(address: str) -> int:
    with socket.create_server((address, 0)) as server:
        return int(server.getsockname()[1])
