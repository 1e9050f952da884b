"""FakeApi and FakeDataserver: small servers in the places of ``api`` and ``dataserver``.

They show what reaches them and answer as badly as a user's own program could. Runs as
``python fake_services.py API_SOCKET DATASERVER_SOCKET``.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys

from tornado.httpserver import HTTPServer
from tornado.netutil import bind_unix_socket
from tornado.web import Application, RequestHandler, stream_request_body
from tornado.websocket import WebSocketHandler

CHUNK = b"0123456789abcdef" * 65536  # 1 MiB
EVENTS = 3


class Echo(RequestHandler):
    """What arrived: method, path, query and headers."""

    SUPPORTED_METHODS = (*RequestHandler.SUPPORTED_METHODS, "PROPFIND")

    async def echo(self, *_: str) -> None:
        self.finish(
            {
                "program": self.settings["program"],
                "method": self.request.method,
                "path": self.request.path,
                "query": self.request.query,
                "headers": dict(self.request.headers.get_all()),
            }
        )

    get = post = put = delete = patch = options = propfind = echo

    async def head(self, *_: str) -> None:
        self.finish()


class Health(RequestHandler):
    def get(self) -> None:
        self.set_status(204 if self.settings["state"]["healthy"] else 503)


class Activity(RequestHandler):
    def get(self) -> None:
        state = self.settings["state"]
        self.finish({"busy": state["busy"], "last_user_event": state["last_user_event"]})


class State(RequestHandler):
    """Tests change ``healthy``, ``busy`` and ``last_user_event`` here."""

    def put(self) -> None:
        self.settings["state"].update(json.loads(self.request.body))


class Events(RequestHandler):
    """Some events; with ``?wait=1`` each after the first once the test has ``taken`` the others."""

    async def get(self) -> None:
        self.set_header("Content-Type", "text/event-stream")
        wait = self.get_query_argument("wait", "")
        state = self.settings["state"]
        for number in range(EVENTS):
            while wait and state.get("taken", 0) < number:
                await asyncio.sleep(0.01)
            self.write(f"data: {number}\n\n")
            await self.flush()


class EchoSocket(WebSocketHandler):
    def check_origin(self, origin: str) -> bool:
        return True

    def on_message(self, message: str | bytes) -> None:
        self.write_message(message, binary=isinstance(message, bytes))


class Download(RequestHandler):
    async def get(self) -> None:
        megabytes = int(self.get_query_argument("mb"))
        self.set_header("Content-Length", str(megabytes * len(CHUNK)))
        for _ in range(megabytes):
            self.write(CHUNK)
            await self.flush()


@stream_request_body
class Upload(RequestHandler):
    def prepare(self) -> None:
        self.size = 0

    def data_received(self, chunk: bytes) -> None:
        self.size += len(chunk)

    def put(self) -> None:
        self.finish({"size": self.size})


class Part(RequestHandler):
    def get(self) -> None:
        if self.request.headers.get("Range") == "bytes=2-4":
            self.set_status(206)
            self.set_header("Content-Range", "bytes 2-4/10")
            self.finish("234")
        else:
            self.finish("0123456789")


class Wicked(RequestHandler):
    """A page with a script, and every header by which it could reach beyond itself."""

    def get(self, status: str) -> None:
        self.set_status(int(status))
        self.set_header("Content-Type", "text/html")
        self.set_header("Set-Cookie", "stolen=1; Path=/")
        self.set_header("Access-Control-Allow-Origin", "https://evil.example")
        self.set_header("Access-Control-Allow-Credentials", "true")
        self.set_header("Service-Worker-Allowed", "/")
        self.set_header("Clear-Site-Data", '"*"')
        self.set_header("WWW-Authenticate", 'Basic realm="your password"')
        self.set_header("Strict-Transport-Security", "max-age=99999999")
        self.set_header("Alt-Svc", 'h2="evil.example:443"')
        self.set_header("Content-Security-Policy", "script-src *")
        self.finish("<script>document.title='owned'; location='https://evil.example'</script>")


class InternalRedirect(RequestHandler):
    """Tries to have nginx serve one of its own inner locations or files."""

    def get(self) -> None:
        self.set_header("X-Accel-Redirect", self.get_query_argument("to"))
        self.finish("not redirected")


class Close(RequestHandler):
    """Goes away in the middle of an answer."""

    def get(self) -> None:
        self.request.connection.stream.close()


def application(program: str) -> Application:
    """``program`` is FakeApi or FakeDataserver."""
    return Application(
        [
            ("/internal/health", Health),
            ("/internal/activity", Activity),
            ("/internal/state", State),
            ("/jobs/events", Events),
            ("/ws", EchoSocket),
            ("/download", Download),
            ("/upload", Upload),
            ("/part", Part),
            (r"/wicked/(\d+)", Wicked),
            ("/accel", InternalRedirect),
            ("/close", Close),
            ("/(.*)", Echo),
        ],
        program=program,
        state={"healthy": True, "busy": False, "last_user_event": None},
        log_function=lambda handler: None,
    )


async def main() -> None:
    for program, path in zip(("FakeApi", "FakeDataserver"), sys.argv[1:], strict=True):
        server = HTTPServer(application(program), max_body_size=2**30)
        server.add_socket(bind_unix_socket(path, mode=0o666))
    print("ready", os.getpid(), file=sys.stderr)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
