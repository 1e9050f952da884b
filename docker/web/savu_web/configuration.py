"""From settings to the text of nginx's configuration. Pure functions.

``nginx/nginx.conf.template`` is nginx's own language with these places to fill:

================== =============================================================
``{{ name }}``     a value of :func:`values`
``{{ url TEXT }}`` the session's prefix and TEXT, quoted
``{{ run NAME }}`` a file or folder below the run directory, quoted
``{{ use FILE }}`` the text of another file in ``nginx/``
================== =============================================================
"""

from __future__ import annotations

import json
import os
import re
from importlib.resources import files

from savu_web.settings import Settings

_PLACE = re.compile(r"\{\{ (\w+)(?: ([^{}]*))? \}\}")

PAGE_POLICY = "; ".join(
    (
        "default-src 'none'",
        # H5Web's ndarray-ops makes its loops with Function(): https://github.com/silx-kit/h5web
        # pull request 1904. What can be made to run is bounded by everything else being 'self'.
        "script-src 'self' 'unsafe-eval'",
        # H5Web sets style attributes
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data: blob:",
        "font-src 'self' data:",
        "connect-src 'self'",
        "worker-src 'self' blob:",
        "manifest-src 'self'",
        "base-uri 'self'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    )
)

ANSWER_POLICY = "sandbox; default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"
"""For everything but the page: whatever users' files or programs send, no script of it runs."""


ANY_ANSWER = "error_page 400 401 403 404 405 = @well;"
"""A program of other making is well if it answers: it has no path for health of ours."""


def quote(text: str) -> str:
    """One token of nginx's configuration, whatever the text holds."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def problem(code: str, status: int, title: str, detail: str) -> str:
    """Problem details (RFC 9457) as nginx's ``return`` takes them."""
    fields = {"type": "about:blank", "title": title, "status": status, "detail": detail}
    return quote(json.dumps({**fields, "code": code}))


def render(settings: Settings, failures_log: str | None = None) -> str:
    """nginx's whole configuration.

    Args:
        settings: checked by :mod:`savu_web.settings`.
        failures_log: file for one line a request that ended with 5xx, without its query.
    """
    known = values(settings, failures_log)

    def fill(match: re.Match[str]) -> str:
        word, argument = match.groups()
        if word == "url":
            return quote(settings.prefix + (argument or ""))
        if word == "run":
            return quote(str(settings.run_dir / argument))
        if word == "use":
            return _PLACE.sub(fill, _text(argument)).strip()
        return known[word]

    return _PLACE.sub(fill, _text("nginx.conf.template"))


def values(settings: Settings, failures_log: str | None = None) -> dict[str, str]:
    """What ``{{ name }}`` stands for."""
    return {
        # Started as root, nginx would change to `nobody`, who may not enter the sockets' folders.
        "user": "user root root;" if os.geteuid() == 0 else "",
        "listen": settings.listen,
        "health_listen": settings.health_listen,
        "gate": settings.gate,
        "api": settings.api,
        "dataserver": settings.dataserver,
        "api_well_if": ANY_ANSWER if "api" in settings.foreign else "",
        "dataserver_well_if": ANY_ANSWER if "dataserver" in settings.foreign else "",
        "socket_io": _socket_io(settings) if "api" in settings.foreign else "",
        "page": quote(f"{settings.page}/"),
        "assets": quote(f"{settings.page}/assets/"),
        "bare_prefix": quote(settings.prefix.rstrip("/")),
        "below_prefix": quote("~^" + _pcre(settings.prefix) + "[^/.]*$"),
        "failures_log": f"{failures_log} failures if=$failed" if failures_log else "off",
        "page_policy": quote(PAGE_POLICY),
        "answer_policy": quote(ANSWER_POLICY),
        "nothing_here": problem("not-found", 404, "Not found", "There is nothing at this address."),
        "gate_down": problem("gate-down", 503, *GATE_DOWN),
        "gate_down_page": quote(
            '<!doctype html><html lang="en"><meta charset="utf-8">'
            f"<title>{GATE_DOWN[0]}</title><h1>{GATE_DOWN[0]}</h1><p>{GATE_DOWN[1]}</p>"
        ),
        "api_down": problem(
            "api-down",
            503,
            "The session's api does not answer",
            "The program that reads process lists and runs jobs (api) does not answer. Try again "
            "in a few seconds; if it stays, stop the session and start it again.",
        ),
        "dataserver_down": problem(
            "dataserver-down",
            503,
            "The session's dataserver does not answer",
            "The program that reads data files (dataserver) does not answer; it is started again "
            "by itself. Try again in a few seconds.",
        ),
        "api_slow": problem(
            "api-slow",
            504,
            "The session's api takes too long",
            "The program that reads process lists and runs jobs (api) gave no answer within an "
            "hour.",
        ),
        "dataserver_slow": problem(
            "dataserver-slow",
            504,
            "The session's dataserver takes too long",
            "The program that reads data files (dataserver) gave no answer within an hour.",
        ),
    }


def _socket_io(settings: Settings) -> str:
    """Where the first web API of Savu tells of its jobs: beside ``api/``, by its own clients."""
    return (
        f"location ^~ {quote(settings.prefix + 'socket.io/')} {{\n"
        f"      {_text('ask_program.conf').strip()}\n"
        "      proxy_buffering off;\n"
        "      error_page 502 503 = @api_down;\n"
        f"      {_text('error_pages.conf').strip()}\n"
        "      proxy_pass http://api/socket.io/;\n"
        "    }"
    )


GATE_DOWN = (
    "The session cannot check who you are",
    "The session's gate, or JupyterHub that it asks, does not answer at the moment. Try again in "
    "a few seconds; if it stays, stop the session and start it again.",
)


def _text(name: str) -> str:
    return (files("savu_web") / "nginx" / name).read_text(encoding="utf-8")


def _pcre(text: str) -> str:
    """A regular expression that matches just this text, byte by byte."""
    return "".join(c if c.isalnum() or ord(c) > 127 else f"\\x{ord(c):02x}" for c in text)
