"""What Savu writes for people to follow: ``run_log/user.log``, and the same on stderr."""

from __future__ import annotations

import contextlib
import sys
import time
from pathlib import Path
from types import TracebackType


class UserLog:
    """Writes Savu's lines, each at once; ``with UserLog(path) as log:``."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("w", encoding="utf-8")
        self._percent: tuple[str, int] | None = None
        self.line("User Log Started")
        self.line(f"User Log location is '{path}'")

    def __enter__(self) -> UserLog:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with contextlib.suppress(OSError):
            self._file.close()

    def line(self, message: str) -> None:
        """One message; what breaks lines is taken out, for a reader takes a line for a message."""
        message = " ".join(message.split("\n"))
        now = time.time()
        stamp = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(now))
        print(message, file=sys.stderr, flush=True)
        # On a full disk the run has a better reason to fail than its log.
        with contextlib.suppress(OSError):
            self._file.write(f"{stamp},{int(now % 1 * 1000):03d} - {message}\n")
            self._file.flush()

    def running(self, plugin: str) -> None:
        """A plugin begins."""
        self.line(f"*Running the {plugin} plugin*")
        self.percent(plugin, 0.0)

    def percent(self, plugin: str, fraction: float) -> None:
        """How much of the plugin is done, 0 to 1; a line each time the whole per cent changes."""
        now = (plugin, int(100 * fraction))
        if now != self._percent:
            self._percent = now
            self.line(f"{plugin} - {now[1]:3d}% complete")

    def ended(self, how: str) -> None:
        """The last words: ``Complete`` or ``interrupted by killsignal``."""
        stars = "*" * len(f"* Processing {how} *")
        for text in (stars, f"* Processing {how} *", stars):
            self.line(text)
