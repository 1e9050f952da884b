"""Copies the interpreter that runs this into a folder that needs nothing of the system around it.

    python standalone_python.py /opt/savu/python

The standard library, every shared library that it loads, the C library and its loader among them:
the copy works in an image whose own C library or Python is older. Its programs are bound to that
folder's path. Needs ``patchelf``, and runs while the image is built.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

WITHOUT = shutil.ignore_patterns(
    "*.a",
    "config-*",
    "dist-packages",
    "ensurepip",
    "idlelib",
    "lib2to3",
    "site-packages",
    "sitecustomize.py",  # Debian's, a link into /etc
    "test",
    "tests",
    "tkinter",
    "turtledemo",
)

EXPECTED = (
    "libdl.so.2",
    "libgcc_s.so.1",
    "libm.so.6",
    "libpthread.so.0",
    "libresolv.so.2",
    "librt.so.1",
    "libstdc++.so.6",
    "libutil.so.1",
)
"""What wheels expect of any system (manylinux). Bound to the program itself, so that they are
loaded with it and found there by libraries that would look in the system first."""


def main() -> None:
    """Copy, bind, and show that the copy runs."""
    prefix = Path(sys.argv[1])
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    program, libraries = prefix / "bin" / version, prefix / "lib"
    real = Path(os.path.realpath(sys.executable))
    stdlib = libraries / version
    shutil.copytree(sysconfig.get_path("stdlib"), stdlib, ignore=WITHOUT)
    (stdlib / "lib-dynload").mkdir(exist_ok=True)
    program.parent.mkdir(parents=True)
    shutil.copy2(real, program)
    for name in ("python3", "python"):
        (program.parent / name).symlink_to(version)

    loader = Path(_patchelf("--print-interpreter", program))
    found = _libraries([program, *stdlib.rglob("*.so")])
    for name in EXPECTED:
        found[name] = _beside(found["libc.so.6"], name)
    for name, file in found.items():
        shutil.copyfile(file, libraries / name)
    shutil.copy2(os.path.realpath(loader), libraries / loader.name)

    # DT_RPATH, not DT_RUNPATH: it holds for whatever the program loads, and beats LD_LIBRARY_PATH.
    for name in EXPECTED:
        _patchelf("--add-needed", name, program)
    _patchelf("--force-rpath", "--set-rpath", libraries, program)
    _patchelf("--set-interpreter", libraries / loader.name, program)
    subprocess.run([program, "-I", "-c", "import ctypes, hashlib, lzma, sqlite3, ssl"], check=True)


def _libraries(programs: list[Path]) -> dict[str, str]:
    """Names and paths of the shared libraries that these need, and those need in turn."""
    found: dict[str, str] = {}
    for program in programs:
        listed = subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout
        if missing := re.findall(r"(\S+) => not found", listed):
            sys.exit(f"{program} needs {', '.join(missing)}, which this system does not have")
        found |= dict(re.findall(r"(\S+) => (/\S+)", listed))
    return found


def _beside(library: str, name: str) -> str:
    """Path of a library that is where the C library is, or in the same folder of /usr."""
    folder = Path(library).parent
    for place in (folder, Path("/usr") / folder.relative_to("/")):
        if (place / name).exists():
            return os.fspath(place / name)
    sys.exit(f"{name} is not in {folder}")


def _patchelf(*arguments: str | Path) -> str:
    return subprocess.run(
        ["patchelf", *arguments], stdout=subprocess.PIPE, text=True, check=True
    ).stdout.strip()


if __name__ == "__main__":
    main()
