"""Runs the system's own tools."""

from __future__ import annotations

import os
import shutil
import subprocess

from dev.cluster.errors import ClusterError

SYSTEM_PATH = "/usr/local/sbin:/usr/sbin:/sbin"
"""Where Debian keeps servers and network tools; not on everybody's PATH."""

PROXIES = ("http_proxy", "https_proxy", "all_proxy")


def search_path() -> str:
    return f"{os.environ.get('PATH', '')}:{SYSTEM_PATH}"


def find(name: str) -> str | None:
    """Path of a program of the system."""
    return shutil.which(name, path=search_path())


def environment() -> dict[str, str]:
    """For the cluster's programs: their traffic is among themselves and needs no proxy."""
    kept = {name: value for name, value in os.environ.items() if name.lower() not in PROXIES}
    return kept | {"PATH": search_path()}


def run(*argv: object, text: str | None = None) -> str:
    """A tool's output; that it failed is a :class:`ClusterError` with its own words."""
    words = [str(word) for word in argv]
    done = subprocess.run(
        words, input=text, capture_output=True, text=True, check=False, env=environment()
    )
    if done.returncode != 0:
        raise ClusterError(f"`{' '.join(words)}`: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout
