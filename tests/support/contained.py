"""Runs an image's program as a pod does: its files read-only, an arbitrary user, nothing inherited.

Only what Linux itself has is used, so that images of every engine are run alike.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

STOP_SECONDS = 20

INSIDE = """
set -eu
root=$1 scratch=$2 identity=$3 mounts=$4
shift 4
mount --bind "$root" "$root"
for pair in $mounts; do mount --bind "${pair%%:*}" "$root${pair#*:}"; done
mount -o remount,bind,ro "$root"
mount --bind "$scratch" "$root/tmp"
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
exec chroot --userspec="$identity" --groups= "$root" "$@"
"""


def command(
    root: Path,
    argv: Sequence[str],
    *,
    scratch: Path,
    environment: Mapping[str, str],
    uid: int,
    gid: int,
    mounts: Mapping[Path, str] | None = None,
) -> list[str]:
    """A command that runs ``argv`` with ``root`` as its read-only root.

    Args:
        scratch: a folder of this machine, ``/tmp`` in there; all that can be written.
        mounts: folders of this machine, and where they are seen; these paths have to exist.
    """
    pairs = " ".join(f"{source}:{target}" for source, target in (mounts or {}).items())
    return [
        *("unshare", "--mount", "--pid", "--ipc", "--uts", "--fork", "--kill-child=KILL"),
        *("--propagation", "private", "sh", "-c", INSIDE, "contained"),
        *(str(root), str(scratch), f"{uid}:{gid}", pairs),
        # The image's own variables win over nothing: chroot would hand on the machine's.
        *("/usr/bin/env" if (root / "usr/bin/env").exists() else "/bin/env", "-i"),
        *(f"{name}={value}" for name, value in environment.items()),
        *argv,
    ]


@contextmanager
def running(argv: Sequence[str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A program that is ended afterwards, with all that it started."""
    with log.open("wb") as output:
        process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
    try:
        yield process
    finally:
        # Everything is in the process namespace of its child, which dies with it.
        process.kill()
        process.wait(STOP_SECONDS)
