"""``python -m savu_builtin``: Savu's command line, and two questions about it.

::

    python -m savu_builtin DATA LIST OUTDIR [-f NAME]   run; everything goes into OUTDIR/NAME
    python -m savu_builtin catalogue                    what it can run, as JSON
    python -m savu_builtin check LIST                   why it cannot run this list, as JSON

The environment's SAVU_BUILTIN_BLOCK_BYTES bounds how much of a dataset is held at a time.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import shlex
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

USAGE_ERROR = 2


def main(arguments: Sequence[str]) -> int:
    """The exit code: 0, 1 if the run failed or the list is refused, 2 for a wrong command."""
    if list(arguments) == ["catalogue"]:
        from savu_builtin.catalogue import catalogue

        json.dump(catalogue(), sys.stdout, ensure_ascii=False)
        return 0
    if len(arguments) == 2 and arguments[0] == "check":
        return _check(Path(arguments[1]))
    return _run(arguments)


def _check(path: Path) -> int:
    from savu_format.process_list import NotAProcessList, read

    from savu_builtin.errors import ListRefused, Problem
    from savu_builtin.plan import make_plan

    problems: Sequence[Problem] = ()
    try:
        make_plan(read(path))
    except ListRefused as error:
        problems = error.problems
    except (NotAProcessList, OSError) as error:
        problems = [Problem("", "", "", str(error))]
    json.dump(
        {"runs": not problems, "problems": [dataclasses.asdict(problem) for problem in problems]},
        sys.stdout,
        ensure_ascii=False,
    )
    return 1 if problems else 0


def _run(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m savu_builtin", description="Runs a Savu process list."
    )
    parser.add_argument("in_file", type=Path, metavar="DATA", help="the scan, a NeXus file")
    parser.add_argument("process_list", type=Path, metavar="LIST", help="the process list")
    parser.add_argument("out_folder", type=Path, metavar="OUTDIR", help="where the results go")
    parser.add_argument("-f", "--folder", metavar="NAME", help="name of the folder in OUTDIR")
    options = parser.parse_args(list(arguments))
    name = options.folder or f"{time.strftime('%Y%m%d%H%M%S')}_{options.in_file.stem}"
    if name != Path(name).name or name in (".", ".."):
        parser.error("NAME is the name of a folder, not a path.")
    _prepare_libraries()
    # Only now: NumPy and numba read the environment once.
    from savu_builtin.run import run

    folder = options.out_folder.resolve() / name
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return run(
            options.in_file.absolute(),
            options.process_list,
            folder,
            shlex.join(["python", "-m", "savu_builtin", *map(str, arguments)]),
        )
    except OSError as error:
        print(f"{folder} cannot be written: {error.strerror}.", file=sys.stderr)
        return 1


def _prepare_libraries() -> None:
    from savu_builtin.workers import limit_threads

    limit_threads()
    if not os.environ.get("NUMBA_CACHE_DIR"):
        # Without a folder that it can write to, numba refuses to import what is to be cached.
        home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "savu_builtin"
        try:
            home.mkdir(parents=True, exist_ok=True)
        except OSError:
            home = Path(tempfile.mkdtemp(prefix="savu_builtin_"))
        os.environ["NUMBA_CACHE_DIR"] = str(home)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
