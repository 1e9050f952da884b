"""An engine that computes nothing: a program with Savu's command line that does as the test says.

It connects to the unix socket named in ``FAKE_ENGINE_SOCKET`` and obeys lines of JSON, one answer a
line, so that a test decides what is in ``user.log`` at every moment and how the run ends::

    async with fake_engine(tmp_path) as engine:     # engine.python stands in for Savu's interpreter
        run = await engine.next_run()               # some job started it
        await run.log("*Running the Invert plugin*")
        await run.end(0)
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

PATIENCE = 60.0
"""Seconds that a test waits for the engine before it fails."""

CATALOGUE = {
    "engine": "savu",
    "version": "fake",
    "plugins": {
        "NxtomoLoader": {
            "id": "savu.plugins.loaders.full_field_loaders.nxtomo_loader",
            "parameters": [
                {"name": "preview", "dtype": "preview", "default": []},
                {"name": "data_path", "dtype": "str", "default": "entry1/tomo_entry/data/data"},
            ],
        },
        "Invert": {
            "id": "savu.plugins.filters.invert",
            "parameters": [
                {
                    "name": "mode",
                    "dtype": "str",
                    "default": "fast",
                    "options": [["fast", ""], ["slow", ""]],
                }
            ],
        },
        "TiffSaver": {"id": "savu.plugins.savers.tiff_saver", "parameters": []},
    },
}
"""What it claims to have."""


# -- In the test's process ------------------------------------------------------------------------


class FakeRun:
    """One run of the engine; every method returns once the engine has done it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self.argv: list[str] = []
        self.environment: dict[str, str] = {}
        self.pid = 0
        self.umask = 0

    async def begin(self) -> FakeRun:
        hello = await self._answer()
        self.argv, self.pid = hello["argv"], hello["pid"]
        self.environment, self.umask = hello["environment"], hello["umask"]
        return self

    @property
    def folder(self) -> Path:
        return Path(self.argv[2]) / self.argv[4]

    async def do(self, **command: Any) -> Any:
        self._writer.write(json.dumps(command).encode() + b"\n")
        await self._writer.drain()
        return await self._answer()

    async def log(self, *messages: str) -> None:
        """Write lines to user.log as Savu does."""
        await self.do(log=messages)

    async def print(self, text: str) -> None:
        """Write to the standard error."""
        await self.do(print=text)

    async def write_result(self, shape: tuple[int, ...] = (8, 4, 8)) -> None:
        """Leave the files of a run as Savu does."""
        await self.do(write_result=shape)

    async def ignore_sigterm(self) -> None:
        await self.do(ignore_sigterm=True)

    async def detach_grandchild(self) -> int:
        """Start a process in a session of its own that ignores SIGTERM; its pid."""
        return int(await self.do(detach=True))

    async def end(self, exit_code: int) -> None:
        await self._last(exit=exit_code)

    async def complete(self) -> None:
        await self.log(
            "***********************", "* Processing Complete *", "***********************"
        )
        await self.end(0)

    async def eat_memory(self, size: int) -> None:
        """Take ``size`` bytes and use them; returns when it has them or is dead."""
        await self._last(eat=size)

    async def die(self, number: signal.Signals) -> None:
        await self._last(kill=int(number))

    async def gone(self) -> None:
        """Wait until the engine's process has ended."""
        async with asyncio.timeout(PATIENCE):
            while await self._reader.read(1024):
                pass

    async def _last(self, **command: Any) -> None:
        self._writer.write(json.dumps(command).encode() + b"\n")
        await self.gone()

    async def _answer(self) -> Any:
        async with asyncio.timeout(PATIENCE):
            line = await self._reader.readline()
        assert line, "the engine ended while it was told what to do"
        return json.loads(line)


class FakeEngine:
    """All runs of the engine; ``python`` is the program that stands in for Savu's interpreter."""

    def __init__(self, folder: Path) -> None:
        self.socket = folder / "engine.sock"
        self.python = folder / "bin" / "python"
        self.catalogue = folder / "catalogue.json"
        self._runs: asyncio.Queue[FakeRun] = asyncio.Queue()
        package = folder / "site" / "savu"
        package.mkdir(parents=True)
        (package / "__init__.py").touch()
        (package / "tomo_recon.py").write_text("from fake_engine import main\n")
        self.python.parent.mkdir()
        self.python.write_text(
            "#!/bin/sh\n"
            f"export FAKE_ENGINE_SOCKET={self.socket}\n"
            f"export PYTHONPATH={package.parent}:{Path(__file__).parent}\n"
            f'exec {sys.executable} "$@"\n'
        )
        self.python.chmod(0o755)
        self.catalogue.write_text(json.dumps(CATALOGUE))

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._runs.put_nowait(FakeRun(reader, writer))

    async def next_run(self) -> FakeRun:
        """The next run that some job starts."""
        async with asyncio.timeout(PATIENCE):
            return await (await self._runs.get()).begin()

    @property
    def has_more_runs(self) -> bool:
        return not self._runs.empty()


@contextlib.asynccontextmanager
async def fake_engine(folder: Path) -> AsyncIterator[FakeEngine]:
    """The engine's files below ``folder`` (a short path: it holds a socket), and its runs."""
    folder.mkdir(exist_ok=True)
    engine = FakeEngine(folder)
    server = await asyncio.start_unix_server(engine.accept, path=engine.socket)
    try:
        yield engine
    finally:
        server.close()


# -- The engine's process -------------------------------------------------------------------------


def main() -> None:
    """What Savu's ``tomo_recon.main`` is."""
    data, _process_list, out, flag, name = sys.argv[1:6]
    assert flag == "-f"
    folder = Path(out) / name
    log = folder / "run_log" / "user.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    _append(log, "User Log Started")
    umask = os.umask(0)
    os.umask(umask)
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(os.environ["FAKE_ENGINE_SOCKET"])
    stream = connection.makefile("rw")
    hello = {
        "argv": sys.argv[1:],
        "pid": os.getpid(),
        "environment": dict(os.environ),
        "umask": umask,
    }
    print(json.dumps(hello), file=stream, flush=True)
    for line in stream:
        answer: Any = None
        match json.loads(line):
            case {"log": messages}:
                for message in messages:
                    _append(log, message)
            case {"print": text}:
                print(text, file=sys.stderr, flush=True)
            case {"write_result": shape}:
                _write_result(folder, Path(data), shape)
            case {"ignore_sigterm": _}:
                signal.signal(signal.SIGTERM, signal.SIG_IGN)
            case {"detach": _}:
                answer = _detach()
            case {"exit": code}:
                sys.exit(code)
            case {"eat": size}:
                eaten = bytearray(size)
                eaten[::4096] = b"x" * len(eaten[::4096])
            case {"kill": number}:
                os.kill(os.getpid(), number)
        print(json.dumps(answer), file=stream, flush=True)
    time.sleep(600)  # the test is over: whoever started this has to end it


def _append(log: Path, message: str) -> None:
    with log.open("a") as stream:
        stream.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')},000 - {message}\n")


def _detach() -> int:
    """As ``setsid nohup … &`` does: of no parent, session or terminal of this process."""
    receiver, sender = os.pipe()
    if os.fork() == 0:
        os.setsid()
        if (pid := os.fork()) == 0:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            os.closerange(3, 64)
            time.sleep(600)
            os._exit(0)
        os.write(sender, str(pid).encode())
        os._exit(0)
    os.wait()
    os.close(sender)
    return int(os.read(receiver, 32))


def _write_result(folder: Path, data: Path, shape: list[int]) -> None:
    import h5py

    intermediate = folder / "tomo_p2_invert.h5"
    with h5py.File(intermediate, "w") as file:
        file.create_dataset("2-Invert-tomo/data", shape=shape, dtype="f4")
    with h5py.File(folder / f"{data.stem}_processed.nxs", "w") as file:
        group = file.create_group("entry/final_result_tomo")
        group["data"] = h5py.ExternalLink(intermediate.name, "2-Invert-tomo/data")


if __name__ == "__main__":
    main()
