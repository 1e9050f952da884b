"""A stand-in for a session's program, to provoke deaths: answers 204 on a unix socket.

fake_program.py SOCKET PID_FILE [--grandchild PID_FILE] [--stubborn] [--dies]
"""

import argparse
import http.server
import os
import pathlib
import signal
import socketserver
import subprocess
import sys


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass

    def address_string(self) -> str:
        return "unix"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("socket")
    parser.add_argument("pid_file")
    parser.add_argument("--grandchild")
    parser.add_argument("--stubborn", action="store_true")
    parser.add_argument("--dies", action="store_true")
    arguments = parser.parse_args()
    with pathlib.Path(arguments.pid_file).open("a") as file:
        file.write(f"{os.getpid()}\n")
    if arguments.dies:
        sys.exit(3)
    if arguments.stubborn:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if arguments.grandchild:
        # Detached as a daemon is: a session of its own, SIGTERM ignored.
        grandchild = subprocess.Popen(
            ["sh", "-c", "trap '' TERM; while :; do sleep 60; done"], start_new_session=True
        )
        pathlib.Path(arguments.grandchild).write_text(str(grandchild.pid))
    pathlib.Path(arguments.socket).unlink(missing_ok=True)
    socketserver.UnixStreamServer(arguments.socket, Handler).serve_forever()


if __name__ == "__main__":
    main()
