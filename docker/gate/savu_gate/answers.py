"""Refusals in plain words: a small page for people, problem details (RFC 9457) for programs."""

from __future__ import annotations

import json
from dataclasses import dataclass
from html import escape


@dataclass(frozen=True)
class Problem:
    code: str
    """Machine word, also sent as ``X-Gate-Reason``."""
    status: int
    title: str
    detail: str

    def as_json(self) -> str:
        return json.dumps(
            {
                "type": "about:blank",
                "title": self.title,
                "status": self.status,
                "detail": self.detail,
                "code": self.code,
            }
        )

    def as_page(self, way_on: tuple[str, str] | None) -> str:
        """HTML without scripts: the sentence, and a link ``way_on``: its text and its URL."""
        link = f'<p><a href="{escape(way_on[1])}">{escape(way_on[0])}</a></p>' if way_on else ""
        return (
            '<!doctype html><html lang="en"><meta charset="utf-8">'
            f"<title>{escape(self.title)}</title>"
            "<style>body{font:1.1rem/1.5 system-ui,sans-serif;max-width:38rem;margin:15vh auto;"
            "padding:0 1rem}</style>"
            f"<h1>{escape(self.title)}</h1><p>{escape(self.detail)}</p>{link}"
        )


LOGIN_NEEDED = Problem(
    "login-needed",
    401,
    "Login needed",
    "This session does not know who you are. Open it in a browser and log in, or send an API "
    "token of JupyterHub.",
)
LINK_NEEDED = Problem(
    "login-needed",
    401,
    "Link needed",
    "This session does not know who you are. Whoever started it gets a fresh link with "
    "“savu-spawner url”; programs send the token that “savu-spawner url --token” prints.",
)
LINK_REFUSED = Problem(
    "link-refused",
    401,
    "This link opens nothing",
    "A link is good for two minutes and for one browser; this one is older, was used already, or "
    "belongs to another session. “savu-spawner url” prints a fresh one.",
)
LEFT = Problem(
    "left",
    200,
    "You have left this session",
    "It goes on running. “savu-spawner url” prints a fresh link to it, “savu-spawner stop” ends "
    "it.",
)
XSRF = Problem(
    "xsrf",
    403,
    "Request not from this page",
    "The request lacks the proof that this session's own page sent it. Reload the page and try "
    "again; programs send an API token instead of a cookie.",
)
CROSS_SITE = Problem(
    "cross-site",
    403,
    "Request from another site",
    "Another web site made your browser send this request, so it was refused.",
)
NO_ACCESS = Problem(
    "no-access",
    403,
    "No access to this session",
    "JupyterHub knows you, and has not granted you access to this session.",
)
NOT_OWNER = Problem(
    "not-owner",
    403,
    "This session is somebody else's",
    "Only its owner may enter this session. Administrators can stop it on JupyterHub's admin page.",
)
HUB_UNREACHABLE = Problem(
    "hub-unreachable",
    503,
    "JupyterHub does not answer",
    "JupyterHub does not answer at the moment, so nobody can be let in anew. Try again in a few "
    "seconds.",
)
LOGIN_FAILED = Problem(
    "login-failed",
    403,
    "Login not completed",
    "Logging in was not completed: the link was old, already used, or cookies are blocked. "
    "Open the session again.",
)
NOT_FOUND = Problem("not-found", 404, "Not found", "There is nothing at this address.")
METHOD = Problem("method", 405, "Method not allowed", "This address can only be opened.")
FAULT = Problem(
    "gate-fault",
    503,
    "The session's gate failed",
    "The session cannot check who you are because of a fault. Try again; if it stays, ask the "
    "administrator.",
)

REFUSALS = {problem.code: problem for problem in (XSRF, CROSS_SITE, NO_ACCESS, NOT_OWNER)}
