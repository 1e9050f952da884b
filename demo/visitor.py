"""A person's browser without the pictures: logs in, starts a session, uses what is behind it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from html import unescape
from typing import Any
from urllib.parse import quote

import requests


class Visitor:
    """One browser profile of one person.

    Args:
        url: of the hub, with a slash at its end.
        name: login name.
        password: of that account.
    """

    def __init__(self, url: str, name: str, password: str) -> None:
        self.url = url
        self.name = name
        self.password = password
        self.http = requests.Session()
        # As a browser says it when a person opens a page.
        self.http.headers["Accept"] = "text/html,application/xhtml+xml"

    # -- The hub ----------------------------------------------------------------------------------

    def log_in(self) -> requests.Response:
        """Fill in the login form; the answer is the page that follows."""
        self.http.get(f"{self.url}hub/login", timeout=10)
        form = {
            "username": self.name,
            "password": self.password,
            "_xsrf": self._xsrf("/hub/"),
        }
        return self.http.post(f"{self.url}hub/login", data=form, timeout=30)

    def log_out(self) -> requests.Response:
        """Press *Logout*."""
        return self.http.get(f"{self.url}hub/logout", timeout=10)

    def home(self) -> str:
        """What is to be read on the control panel."""
        return text_of(self.http.get(f"{self.url}hub/home", timeout=10))

    def hub(self, method: str, path: str, **options: Any) -> requests.Response:
        """A request of the hub's own pages to its API."""
        headers = {"X-XSRFToken": self._xsrf("/hub/"), "Accept": "application/json"}
        address = f"{self.url}hub/api/{path}"
        return self.http.request(method, address, headers=headers, timeout=30, **options)

    def start_server(self, server: str = "") -> requests.Response:
        """Press *Start My Server*; answers as soon as the start is under way or has failed."""
        return self.http.get(f"{self.url}hub/spawn/{quote(self.name)}{_slash(server)}", timeout=60)

    def choose(self, server: str = "", **options: str) -> requests.Response:
        """Send the spawn page's form with these choices."""
        address = f"{self.url}hub/spawn/{quote(self.name)}{_slash(server)}"
        self.http.get(address, timeout=10)
        form = {**options, "_xsrf": self._xsrf("/hub/")}
        return self.http.post(address, data=form, timeout=60)

    def progress(self, server: str = "") -> Iterator[dict[str, Any]]:
        """What the progress page is told, until the start has succeeded or failed."""
        path = f"servers/{quote(server)}" if server else "server"
        address = f"{self.url}hub/api/users/{quote(self.name)}/{path}/progress"
        headers = {"X-XSRFToken": self._xsrf("/hub/"), "Accept": "text/event-stream"}
        with self.http.get(address, headers=headers, stream=True, timeout=90) as answer:
            answer.raise_for_status()
            for line in answer.iter_lines(chunk_size=1):
                if line.startswith(b"data:"):
                    event = json.loads(line[5:])
                    yield event
                    if event.get("ready") or event.get("failed"):
                        return

    def ensure_session(self, server: str = "") -> None:
        """Start the session if it does not run, and open its page.

        Raises:
            RuntimeError: with the sentence that the person read, if the start failed.
        """
        page = self.start_server(server)
        if page.status_code >= 400:
            raise RuntimeError(text_of(page))
        if "/user/" not in page.url:
            for event in self.progress(server):
                if event.get("failed"):
                    raise RuntimeError(event["message"])
        self.open_session(server).raise_for_status()

    # -- A session --------------------------------------------------------------------------------

    def prefix(self, server: str = "", owner: str = "") -> str:
        """Path of a session."""
        return f"/user/{quote(owner or self.name)}/{quote(server) + '/' if server else ''}"

    def open_session(self, server: str = "", owner: str = "") -> requests.Response:
        """Open the page of a session, passing through the hub's login as a browser does."""
        return self.http.get(f"{self.url}{self.prefix(server, owner)[1:]}", timeout=30)

    def request(
        self, method: str, path: str, *, server: str = "", owner: str = "", **options: Any
    ) -> requests.Response:
        """A request of the session's page to its services: ``api/…`` or ``data/…``."""
        prefix = self.prefix(server, owner)
        headers = {
            "X-XSRFToken": self._xsrf(prefix),
            "Accept": "application/json",
            **options.pop("headers", {}),
        }
        options.setdefault("timeout", 60)
        return self.http.request(
            method, f"{self.url}{prefix[1:]}{path}", headers=headers, **options
        )

    def get(self, path: str, **options: Any) -> Any:
        """The JSON of a GET; an error answer is raised with its sentence."""
        answer = self.request("GET", path, **options)
        if not answer.ok:
            raise RuntimeError(f"{answer.status_code}: {answer.text[:300]}")
        return answer.json()

    def _xsrf(self, path: str) -> str:
        found = [
            cookie.value
            for cookie in self.http.cookies
            if cookie.name == "_xsrf" and cookie.path == path
        ]
        return found[0] or "" if found else ""


def _slash(server: str) -> str:
    return f"/{quote(server)}" if server else ""


def text_of(page: requests.Response) -> str:
    """What a person reads on a page."""
    # The hub names the encoding inside the page only.
    html = page.content.decode()
    text = re.sub(r"<(script|style|head).*?</\1>|<[^>]+>", " ", html, flags=re.DOTALL)
    return re.sub(r"\s+", " ", unescape(text)).strip()
