"""The visitor's request as nginx describes it, and what follows from it alone. Pure functions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qs, quote, unquote, urlsplit

READING = ("GET", "HEAD")


@dataclass(frozen=True)
class Asked:
    """A visitor's request: line and headers.

    nginx sends the facts in headers ``X-Gate-…`` that it always sets itself, so that no visitor
    can; the visitor's other headers come along as they are.
    """

    method: str
    target: str
    """Path and query exactly as sent."""
    host: str
    upgrade: str
    headers: Mapping[str, str]

    @classmethod
    def from_headers(cls, headers: Mapping[str, str]) -> Asked:
        return cls(
            method=headers.get("X-Gate-Method", ""),
            target=headers.get("X-Gate-Uri", ""),
            host=headers.get("X-Gate-Host", ""),
            upgrade=headers.get("X-Gate-Upgrade", ""),
            headers=headers,
        )

    @property
    def is_websocket(self) -> bool:
        return bool(self.upgrade) or self.headers.get("Sec-Fetch-Mode") == "websocket"

    @property
    def is_background(self) -> bool:
        """The page asked by itself: nobody need be sitting in front of it."""
        return self.headers.get("X-Background") == "1"

    def xsrf_arguments(self) -> list[bytes]:
        """Values of ``_xsrf`` in the query, for what cannot send a header (EventSource)."""
        query = self.target.partition("?")[2]
        try:
            values = parse_qs(query, max_num_fields=1000).get("_xsrf", [])
        except ValueError:
            return []
        return [value.encode("utf-8", "replace") for value in values]


def is_navigation(asked: Asked) -> bool:
    """A person opening a page, who is best served by a redirect or a page with a sentence.

    Browsers send ``Sec-Fetch-Mode`` to https and loopback only; elsewhere ``Accept`` decides.
    """
    headers = asked.headers
    if asked.method not in READING or asked.upgrade or headers.get("Authorization"):
        return False
    if "Sec-Fetch-Mode" in headers:
        return headers["Sec-Fetch-Mode"] == "navigate"
    return "text/html" in headers.get("Accept", "") and "X-Requested-With" not in headers


def is_cross_site(asked: Asked) -> bool:
    """Another site makes this browser ask. Following a link from there is the one thing allowed."""
    headers = asked.headers
    reads = asked.method in READING
    if headers.get("Sec-Fetch-Site", "") in ("cross-site", "same-site"):
        opens_page = (
            reads
            and headers.get("Sec-Fetch-Mode") == "navigate"
            and headers.get("Sec-Fetch-Dest", "") in ("document", "")
        )
        if not opens_page:
            return True
    origin = headers.get("Origin")
    if origin is None or (reads and not asked.is_websocket):
        return False
    return _netloc(origin) != asked.host.lower()


def _netloc(origin: str) -> str:
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:  # a bracket that is no IPv6 address
        return ""


def next_url(target: str, prefix: str) -> str:
    """Where to go after logging in: the page asked for if it is below the session, else its start.

    Args:
        target: path and query as the visitor sent them.
        prefix: the session's path, percent-encoded, a slash at both ends.

    The answer is built on ``prefix`` anew and never echoes the request: ``//evil.example/…`` or a
    backslash would lead the browser to another host.
    """
    path, _, query = target.partition("?")
    try:
        decoded = unquote(path, errors="strict")
    except UnicodeDecodeError:
        return prefix
    start = unquote(prefix)
    rest = decoded.removeprefix(start)
    if not decoded.startswith(start) or _is_odd(rest):
        return prefix
    return prefix + quote(rest, safe="/@:+,;=!$&'()*~") + (f"?{query}" if query else "")


def _is_odd(rest: str) -> bool:
    return (
        rest.startswith("/")
        or "\\" in rest
        or any(part in (".", "..") for part in rest.split("/"))
        or any(ord(character) < 32 or ord(character) == 127 for character in rest)
    )
