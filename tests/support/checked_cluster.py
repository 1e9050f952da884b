"""An API server as ``savu-spawner check`` asks one: what it answers is set by the test."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class CheckedCluster:
    """Allows everything, until a test says otherwise."""

    url: str = ""
    labels: dict[str, str] = field(default_factory=dict)
    """Of the namespace."""
    forbidden: set[str] = field(default_factory=set)
    """``verb resource``, or ``verb resource/part``."""
    refusal: str = ""
    """Answer to the dry run of a pod."""

    def answer(self, method: str, path: str, body: Any) -> tuple[int, Any]:
        path, _, query = path.partition("?")
        if path.rstrip("/") == "/version":
            return 200, dict.fromkeys(VERSION, "1") | {"gitVersion": "v1.34.2"}
        if path.endswith("/selfsubjectaccessreviews"):
            asked = body["spec"]["resourceAttributes"]
            part = f"/{asked['subresource']}" if "subresource" in asked else ""
            allowed = f"{asked['verb']} {asked['resource']}{part}" not in self.forbidden
            return 201, {**body, "status": {"allowed": allowed}}
        if path.startswith("/api/v1/namespaces/") and path.count("/") == 4:
            return 200, {"metadata": {"name": path.split("/")[-1], "labels": self.labels}}
        if method == "POST" and path.endswith("/pods") and "dryRun=All" in query:
            if self.refusal:
                return 403, {"kind": "Status", "message": self.refusal}
            return 201, body
        return 404, {"kind": "Status", "message": f"nothing at {path}"}


VERSION = (
    "major",
    "minor",
    "gitCommit",
    "gitTreeState",
    "buildDate",
    "goVersion",
    "compiler",
    "platform",
)


@contextmanager
def checked_cluster() -> Iterator[CheckedCluster]:
    """Such a server on a port of its own."""
    cluster = CheckedCluster()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length)) if length else None
            status, answer = cluster.answer(self.command, self.path, body)
            text = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        do_POST = do_GET  # noqa: N815 - the base class looks for this name

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    cluster.url = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield cluster
    finally:
        server.shutdown()
        server.server_close()
