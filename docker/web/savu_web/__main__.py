"""``python -m savu_web [--page FOLDER]``: write nginx's configuration, and become nginx.

Open file descriptors and the environment are kept: with ``NGINX="<fd>;"`` set, nginx takes over
the listening socket of that number in place of binding ``WEB_LISTEN`` itself. Socket and
``WEB_LISTEN`` must then say the same address. Never needs root.
"""

from __future__ import annotations

import argparse
import fcntl
import os
import shutil
import stat
import sys
from pathlib import Path

from savu_web import configuration
from savu_web.settings import ConfigurationError, Settings, from_environment

BUILT_PAGE = Path(__file__).parent / "page"

SYSTEM_PROGRAMS = "/usr/sbin:/usr/local/sbin"
"""Where Debian keeps nginx; not on an ordinary user's PATH."""

FAILURES_LOG = "/dev/stderr"


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="savu_web", description="The web server of a session")
    parser.add_argument(
        "--page", type=Path, default=BUILT_PAGE, metavar="FOLDER", help="the built page"
    )
    page = parser.parse_args(arguments).page.absolute()
    try:
        nginx = find_nginx()
        settings = from_environment(os.environ, page)
        require_page(page)
        path = write(settings)
        remove_stale_socket(settings.health_listen)
    except (ConfigurationError, OSError) as error:
        print(f"web: cannot start: {error}", file=sys.stderr)
        sys.exit(os.EX_CONFIG)
    run_dir = f"{settings.run_dir}/"
    command = [nginx, "-e", "stderr", "-p", run_dir, "-c", str(path), "-g", "daemon off;"]
    os.execv(nginx, command)


def find_nginx() -> str:
    """Path of nginx.

    Raises:
        ConfigurationError: it is not installed.
    """
    found = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:{SYSTEM_PROGRAMS}")
    if found is None:
        raise ConfigurationError("nginx is not installed")
    return found


def require_page(page: Path) -> None:
    if not (page / "index.html").is_file():
        raise ConfigurationError(f"the page is not built: {page} has no index.html")


def write(settings: Settings) -> Path:
    """Write the configuration for its owner's eyes only, whole or not at all."""
    settings.run_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = settings.run_dir / "nginx.conf"
    new = settings.run_dir / "nginx.conf.new"
    new.unlink(missing_ok=True)
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(configuration.render(settings, failures_log()))
    new.replace(path)
    return path


def failures_log() -> str | None:
    """Where nginx can write lines of its own choice; None where stderr cannot be opened anew.

    It cannot where stderr is a socket, or a pipe that another user made.
    """
    try:
        # A file is then written by two descriptors: each must append, or they overwrite each other.
        fcntl.fcntl(2, fcntl.F_SETFL, fcntl.fcntl(2, fcntl.F_GETFL) | os.O_APPEND)
        os.close(os.open(FAILURES_LOG, os.O_WRONLY | os.O_APPEND | os.O_NOCTTY))
    except OSError:
        return None
    return FAILURES_LOG


def remove_stale_socket(listen: str) -> None:
    """A unix socket left by a server that was killed would make nginx fail to bind."""
    path = Path(listen.removeprefix("unix:"))
    if str(path) == listen:
        return
    try:
        is_socket = stat.S_ISSOCK(path.lstat().st_mode)
    except FileNotFoundError:
        return
    if not is_socket:
        raise ConfigurationError(f"{path} exists and is not a socket")
    path.unlink()


if __name__ == "__main__":
    main()
