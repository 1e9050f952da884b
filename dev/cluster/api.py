"""The few questions that the driver asks the API server, over the standard library's HTTPS."""

from __future__ import annotations

import http.client
import json
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dev.cluster.components import API_PORT
from dev.cluster.errors import ClusterError


@dataclass(frozen=True)
class Api:
    """The API server, as the administrator."""

    address: str
    keys: Path

    def ask(
        self, method: str, path: str, body: object = None, kind: str = "application/json"
    ) -> Any:
        """Its answer; a refusal or no answer is a :class:`ClusterError`."""
        context = ssl.create_default_context(cafile=str(self.keys / "ca.crt"))
        context.load_cert_chain(self.keys / "admin.crt", self.keys / "admin.key")
        connection = http.client.HTTPSConnection(
            self.address, API_PORT, context=context, timeout=10
        )
        try:
            text = None if body is None else json.dumps(body)
            connection.request(method, path, body=text, headers={"Content-Type": kind})
            response = connection.getresponse()
            answer = response.read().decode()
        except (OSError, http.client.HTTPException) as error:
            raise ClusterError(f"The API server does not answer: {error}") from error
        finally:
            connection.close()
        if response.status >= 300:
            raise ClusterError(f"{method} {path}: {response.status} {answer.strip()}")
        return json.loads(answer) if answer.startswith("{") else answer

    def is_ready(self) -> bool:
        try:
            return bool(self.ask("GET", "/readyz") == "ok")
        except ClusterError:
            return False

    def apply(self, path: str, thing: dict[str, Any]) -> None:
        """Create or change an object, by server-side apply."""
        name = thing["metadata"]["name"]
        flags = "fieldManager=dev-cluster&force=true"
        self.ask("PATCH", f"{path}/{name}?{flags}", thing, "application/apply-patch+yaml")

    def nodes(self) -> dict[str, bool]:
        """Names of nodes, and whether each is Ready."""
        return {
            node["metadata"]["name"]: any(
                condition["type"] == "Ready" and condition["status"] == "True"
                for condition in node["status"].get("conditions", [])
            )
            for node in self.ask("GET", "/api/v1/nodes")["items"]
        }

    def deployment_is_available(self, namespace: str, name: str) -> bool:
        path = f"/apis/apps/v1/namespaces/{namespace}/deployments/{name}"
        deployment = self.ask("GET", path)
        status = deployment["status"]
        return bool(
            status.get("observedGeneration") == deployment["metadata"]["generation"]
            and status.get("availableReplicas", 0) >= deployment["spec"]["replicas"]
        )
