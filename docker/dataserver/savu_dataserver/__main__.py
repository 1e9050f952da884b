"""``python -m savu_dataserver``: serve until SIGTERM."""

from __future__ import annotations

import logging
import signal
import socket
import sys
from pathlib import Path

from .settings import ConfigurationError, from_environment, parse_listen

EX_CONFIG = 78
SHUTDOWN_SECONDS = 2

log = logging.getLogger("savu_dataserver")


def main() -> int:
    """Run the program; the exit code."""
    logging.basicConfig(
        stream=sys.stderr, level=logging.INFO, format="dataserver %(levelname)s %(message)s"
    )
    try:
        settings = from_environment()
        listener = _listen(settings.listen)
    except ConfigurationError as error:
        log.error("%s", error)
        return EX_CONFIG
    # Only now: a wrong setting is told without waiting for the imports.
    import uvicorn

    from .app import create_app

    server = uvicorn.Server(
        uvicorn.Config(
            create_app(settings),
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=SHUTDOWN_SECONDS,
            timeout_keep_alive=75,
        )
    )
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
    # uvicorn raises these again once it has ended; being asked to end is no failure.
    signal.signal(signal.SIGTERM, lambda *_: None)
    signal.signal(signal.SIGINT, lambda *_: None)
    log.info("serving %s on %s", ":".join(settings.data_roots), settings.listen)
    try:
        server.run(sockets=[listener])
    finally:
        _unlink(settings.listen)
    return 0


def _listen(listen: str) -> socket.socket:
    """The socket to serve on.

    Raises:
        ConfigurationError: it cannot be made.
    """
    where = parse_listen(listen)
    try:
        if isinstance(where, str):
            _remove_stale(where)
            listener = socket.socket(socket.AF_UNIX)
            listener.bind(where)
            # Who may enter its directory may connect: the directory is the permission.
            Path(where).chmod(0o666)
        else:
            family = socket.AF_INET6 if ":" in where[0] else socket.AF_INET
            listener = socket.socket(family)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(where)
        listener.listen(256)
    except OSError as error:
        raise ConfigurationError(f"DATASERVER_LISTEN: cannot listen on {listen}: {error}") from None
    return listener


def _remove_stale(path: str) -> None:
    """Remove the socket of a program that ended without doing so; never one in use, nor a file."""
    if not Path(path).exists():
        return
    if not Path(path).is_socket():
        raise ConfigurationError(f"DATASERVER_LISTEN: {path} is there and is no socket.")
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            Path(path).unlink()
        else:
            raise ConfigurationError(f"DATASERVER_LISTEN: another program listens on {path}.")


def _unlink(listen: str) -> None:
    if listen.startswith("unix:"):
        Path(listen.removeprefix("unix:")).unlink(missing_ok=True)


if __name__ == "__main__":
    sys.exit(main())
