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
from savu_gate.links import LinkAuth
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
    api = Program(settings.api_upstream)
    hub: GateOAuth | LinkAuth
    activity = None
    if settings.link_key:
        hub = LinkAuth(settings.link_key, settings.owner, settings.prefix)
    else:
        hub = GateOAuth(cache_max_age=settings.cache_seconds)
        activity = Activity(api, hub, settings.activity_url, settings.server_name)
    hub.cookie_options = {**cookie_options(settings), **hub.cookie_options}
    gate = Gate(settings, hub, api, activity, Entries())
    server = HTTPServer(application(gate), xheaders=True)
    try:
        listen(server, settings.listen)
    except (OSError, ValueError) as error:
        log.error("cannot listen on %s: %s", settings.listen, error)
        sys.exit(os.EX_CONFIG)
    reporting = asyncio.create_task(activity.run()) if activity else None
    log.info("listening on %s for %s; %s", settings.listen, settings.prefix, rule(settings))
    await stop.wait()
    if reporting:
        reporting.cancel()
    server.stop()
    path = settings.listen.removeprefix("unix:")
    if path != settings.listen:
        with contextlib.suppress(OSError):
            Path(path).unlink()
    log.info("stopped")


def rule(settings: Settings) -> str:
    """Who is let in, for the log."""
    if settings.link_key:
        return "there is no hub: admits who comes with a link"
    return f"admits {settings.admit}; a revocation takes at most {settings.cache_seconds} s"


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
