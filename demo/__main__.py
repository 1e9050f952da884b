"""``make demo``: start the embedded default and say how to use it; end it with Ctrl-C."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
import time
from pathlib import Path

from demo.bed import Bed, DemoError
from demo.story import Story, StoryError

ACCOUNTS = """
  ada        a scientist of visit cm10001-1, where the sample scan is
  alan       her colleague, of the same visit
  grace      a scientist of visit cm10002-1
  hubadmin   the hub's administrator
  backup, toor, halfway   are refused, each for another reason
"""


def main() -> int:
    """Run the demo, or its story, until the end or a signal; the exit code."""
    arguments = _arguments()
    begun = time.monotonic()

    def say(sentence: str) -> None:
        print(f"  {time.monotonic() - begun:5.1f} s  {sentence}", flush=True)

    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: _interrupt(stopped))
    bed = Bed(arguments.folder, port=arguments.port, password=arguments.password, say=say)
    try:
        bed.start()
        if arguments.story:
            Story(bed, say).play()
            return 0
        _invite(bed)
        while not stopped.wait(1):
            if bed.hub is None or bed.hub.poll() is not None:
                raise DemoError(f"JupyterHub ended by itself, see {bed.hub_log}")
    except KeyboardInterrupt:
        pass
    except (DemoError, StoryError) as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    finally:
        # A second Ctrl-C must not leave anything behind.
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        print("\nStopping everything…", flush=True)
        bed.stop()
        print("Stopped. Data and lists are kept in", arguments.folder)
    return 0


def _interrupt(stopped: threading.Event) -> None:
    stopped.set()
    raise KeyboardInterrupt


def _invite(bed: Bed) -> None:
    print(f"\nOpen     {bed.url}\nPassword {bed.password}   (the same for all accounts)")
    print(ACCOUNTS)
    if os.geteuid() != 0:
        print(
            "Not root: all sessions run as you, so files are not protected from one another."
            " As root each session runs as its own user.\n"
        )
    print("Ctrl-C stops everything.", flush=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make demo")
    parser.add_argument("--folder", type=Path, default=Path(os.environ.get("DEMO_DIR") or ".demo"))
    parser.add_argument("--port", type=int, default=int(os.environ.get("PORT") or 8000))
    parser.add_argument("--password", default=os.environ.get("DEMO_PASSWORD", ""))
    parser.add_argument("--story", action="store_true", help="play the tutorial's steps and end")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
