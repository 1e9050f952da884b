"""What a test needs of the machine: skipped with the reason on a laptop, failed if ``CI=true``."""

from __future__ import annotations

import os
import shutil

import pytest

SYSTEM_PROGRAMS = "/usr/local/sbin:/usr/sbin:/sbin"
"""Where Debian keeps servers; not on an ordinary user's PATH."""


def find_program(*names: str) -> str | None:
    """Path of the first of these programs that is installed, or None."""
    path = f"{os.environ.get('PATH', '')}:{SYSTEM_PROGRAMS}"
    return next((found for name in names if (found := shutil.which(name, path=path))), None)


def missing(reason: str) -> None:
    """Skip the test with ``reason``, or fail it where everything must be there (``CI=true``)."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"{reason} (CI=true: nothing may be skipped)", pytrace=False)
    pytest.skip(reason)


def needs_program(*names: str) -> str:
    """Path of one of these programs; without any, the test is skipped, or fails under CI."""
    found = find_program(*names)
    if found is None:
        missing(f"needs {' or '.join(names)}, which is not installed")
        raise AssertionError("unreachable")
    return found


def needs_root() -> None:
    """Go on only as root: other users' identities can be taken by nobody else."""
    if os.geteuid() != 0:
        missing("needs root, to run programs as other users")
