"""Run a command so that other users reach this checkout, wherever it was cloned to.

As root, sessions run as their users; below a private folder such as ``/root`` (0700) those could
not even start their programs. Then the command gets a mount namespace of its own, in which the
private folder is an empty passable one with nothing in it but the checkout. Paths stay the same,
and nobody outside sees a difference.

    python -m demo.reachable COMMAND...
"""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent

COVER = """
set -eu
kept=$(mktemp -d /tmp/savu-checkout.XXXXXX)
mount --bind "$CHECKOUT" "$kept"
mount -t tmpfs -o mode=0711,size=64m tmpfs "$PRIVATE"
mkdir -p -m 0711 "$CHECKOUT"
chmod 0755 "$CHECKOUT"
mount --move "$kept" "$CHECKOUT"
rmdir "$kept"
cd "$CHECKOUT"
exec "$@"
"""


def private_parent(path: Path) -> Path | None:
    """The first folder above ``path`` that other users cannot pass through."""
    for folder in reversed(path.parents):
        if not folder.stat().st_mode & stat.S_IXOTH:
            return folder
    return None


def main(command: list[str]) -> None:
    """Become ``command``, behind a passable folder where one is needed."""
    private = private_parent(CHECKOUT) if os.geteuid() == 0 else None
    if private is None:
        os.execvp(command[0], command)
    unshare = ["unshare", "--mount", "--propagation", "private"]
    if subprocess.run([*unshare, "true"], capture_output=True, check=False).returncode != 0:
        sys.exit(
            f"Other users cannot pass through {private}, and this machine does not let root give"
            f" this program a view of its own. Clone to a folder that all may pass through (/opt,"
            f" /srv), or run as an ordinary user."
        )
    environment = os.environ | {"CHECKOUT": str(CHECKOUT), "PRIVATE": str(private)}
    os.execvpe("unshare", [*unshare, "sh", "-c", COVER, "sh", *command], environment)


if __name__ == "__main__":
    main(sys.argv[1:])
