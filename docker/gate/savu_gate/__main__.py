"""``python -m savu_gate``: runs until SIGTERM; ends with 78 if its environment is not safe."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import sys
from pathlib import Path

from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets, bind_unix_socket

from savu_gate import logs
from savu_gate.activity import Activity
from savu_gate.entries import Entries
from savu_gate.handlers import Gate, application, cookie_options
from savu_gate.hub import GateOAuth
from savu_gate.programs import Program
from savu_gate.settings import ConfigurationError, Settings, from_environment

log = logging.getLogger("savu_gate")


def main() -> None:
    logs.configure()
    try:
        settings = from_environment(os.environ)
    except ConfigurationError as error:
        log.error("cannot start: %s", error)
        sys.exit(os.EX_CONFIG)
    asyncio.run(serve(settings))


async def serve(settings: Settings) -> None:
    """Answer until SIGTERM or SIGINT."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    hub = GateOAuth(cache_max_age=settings.cache_seconds)
    hub.cookie_options = {**cookie_options(settings), **hub.cookie_options}
    api = Program(settings.api_upstream)
    activity = Activity(api, hub, settings.activity_url, settings.server_name)
    gate = Gate(settings, hub, api, activity, Entries())
    server = HTTPServer(application(gate), xheaders=True)
    try:
        listen(server, settings.listen)
    except (OSError, ValueError) as error:
        log.error("cannot listen on %s: %s", settings.listen, error)
        sys.exit(os.EX_CONFIG)
    reporting = asyncio.create_task(activity.run())
    log.info(
        "listening on %s for %s; admits %s; a revocation takes at most %d s",
        settings.listen,
        settings.prefix,
        settings.admit,
        settings.cache_seconds,
    )
    await stop.wait()
    reporting.cancel()
    server.stop()
    path = settings.listen.removeprefix("unix:")
    if path != settings.listen:
        with contextlib.suppress(OSError):
            Path(path).unlink()
    log.info("stopped")


def listen(server: HTTPServer, where: str) -> None:
    """Bind ``unix:PATH`` (0666: the directory is the permission) or ``address:port``."""
    path = where.removeprefix("unix:")
    if path != where:
        server.add_socket(bind_unix_socket(path, mode=0o666))
        return
    address, _, port = where.rpartition(":")
    server.add_sockets(bind_sockets(int(port), address.strip("[]") or None))


if __name__ == "__main__":
    main()
