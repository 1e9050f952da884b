"""``python -m savu_api``: serves the API until SIGTERM. Settings come from the environment."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import stat
import sys
from pathlib import Path
from types import FrameType
from typing import Final

import uvicorn

from savu_api.settings import EX_CONFIG, ConfigurationError, Listen, from_environment

log = logging.getLogger("savu_api")

UMASK: Final = 0o002
"""What a session writes, the visit's other members can open and replace."""

GRACE_SECONDS: Final = 2
"""For requests under way when the session ends; streams of events have no end of their own."""


def main() -> int:
    """Exit status: 0 after SIGTERM, 78 if the environment is wrong."""
    logging.basicConfig(
        stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s api: %(message)s"
    )
    os.umask(UMASK)
    try:
        settings = from_environment()
        settings.state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        listener = listen(settings.listen)
    except ConfigurationError as error:
        log.error("cannot start: %s", error)
        return EX_CONFIG
    except OSError as error:
        # Sockets do not say which path they could not be bound to.
        what = error.filename or f"API_LISTEN {os.environ['API_LISTEN']}"
        log.error("cannot start: %s: %s", what, error.strerror)
        return EX_CONFIG

    # Takes most of the start's time, and a wrong environment should be said at once.
    from savu_api.app import create_app

    config = uvicorn.Config(
        create_app(settings),
        log_config=None,
        access_log=False,
        lifespan="on",
        server_header=False,
        timeout_graceful_shutdown=GRACE_SECONDS,
        # Nobody but the session's own proxy connects.
        proxy_headers=False,
    )
    server = Server(config)
    log.info("serving %s at %s", settings.user, settings.listen.path or settings.listen)
    asyncio.run(_serve(server, listener, settings.listen))
    return 1  # Not reached after a start that succeeded.


class Server(uvicorn.Server):
    """uvicorn, for which SIGTERM is the ordinary end of a session and no signal to die of."""

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self.force_exit = self.should_exit and sig == signal.SIGINT
        self.should_exit = True


async def _serve(server: Server, listener: socket.socket, where: Listen) -> None:
    await server.serve(sockets=[listener])
    if where.path:
        Path(where.path).unlink(missing_ok=True)
    logging.shutdown()
    # A thread that hangs in a dead file system cannot be joined, and is not waited for.
    os._exit(0 if server.started else 1)


def listen(where: Listen) -> socket.socket:
    """A listening socket; a unix socket may be entered by all who can enter its folder.

    A socket file that a killed program left is replaced; one that answers is not.
    Raises ConfigurationError, or OSError.
    """
    if not where.path:
        family = socket.AF_INET6 if ":" in where.host else socket.AF_INET
        listener = socket.socket(family, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((where.host, where.port))
    else:
        _remove_stale(Path(where.path))
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listener.bind(where.path)
        Path(where.path).chmod(0o666)
    listener.listen(1024)
    return listener


def _remove_stale(path: Path) -> None:
    try:
        if not stat.S_ISSOCK(path.lstat().st_mode):
            raise ConfigurationError(f"API_LISTEN: {path} exists and is not a socket")
    except FileNotFoundError:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(str(path))
        except OSError:
            path.unlink()
            return
    raise ConfigurationError(f"API_LISTEN: another program already listens at {path}")


if __name__ == "__main__":
    sys.exit(main())
