"""Sessions without a hub: the real gate and nginx, entered with links made as the contract says."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest
from savu_gate.links import AHEAD_SECONDS, Links, signed
from savu_gate.settings import ConfigurationError, from_environment

from savu_spawner import contract
from tests.support.gate_bed import FETCH, NAVIGATION, Browser, eventually, free_port, make_page
from tests.support.needs import needs_program

REPOSITORY = Path(__file__).parents[2]
FAKE_SERVICES = REPOSITORY / "tests/support/fake_services.py"
KEY = b"k" * contract.LINK_KEY_BYTES


def gate_variables(folder: Path, key: bytes = KEY, prefix: str = "/session/ada/") -> dict[str, str]:
    (folder / "key").write_bytes(key)
    return {
        "PATH": os.environ["PATH"],
        "GATE_LISTEN": f"unix:{folder}/gate.sock",
        "API_UPSTREAM": f"unix:{folder}/api.sock",
        "GATE_ADMIT": "owner",
        "GATE_CACHE_SECONDS": "30",
        "SESSION_PREFIX": prefix,
        "SESSION_USER": "ada",
        "GATE_LINK_KEY_FILE": f"{folder}/key",
        "FOREIGN_PROGRAMS": "",
    }


@dataclass
class LinkSession:
    """A session that was started without a hub."""

    folder: Path
    prefix: str
    url: str
    key: bytes
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def link(self, key: bytes | None = None, *, ago: float = 0) -> str:
        word = secrets.token_urlsafe(9)
        when = time.time() - ago
        value = f"{int(when)}.{word}"
        return signed(key or self.key, contract.LINK_NAME, value, clock=lambda: when)

    def entrance(self, link: str) -> str:
        return f"{self.prefix}{contract.CALLBACK_PATH}?link={quote(link)}"

    def token(self, key: bytes | None = None) -> str:
        return signed(key or self.key, contract.PASS_NAME, "script")

    def browser(self) -> Browser:
        return Browser(self.url, "ada")

    def logs(self) -> str:
        return "".join(path.read_text() for path in self.folder.glob("*.log"))

    def start(self, name: str, command: list[str], variables: dict[str, str]) -> None:
        with (self.folder / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                command, env=variables, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )

    def start_gate(self) -> None:
        variables = gate_variables(self.folder, self.key, self.prefix)
        self.start("gate", [sys.executable, "-m", "savu_gate"], variables)
        eventually(self.is_ready, 90, "the session is ready")

    def is_ready(self) -> bool:
        assert all(process.poll() is None for process in self.processes.values()), self.logs()
        try:
            return httpx.get(f"{self.url}{self.prefix}{contract.READY_PATH}").status_code == 401
        except httpx.TransportError:
            return False


@contextmanager
def running_session(folder: Path, prefix: str, key: bytes) -> Iterator[LinkSession]:
    needs_program("nginx")
    make_page(folder / "page")
    port = free_port()
    session = LinkSession(folder, prefix, f"http://127.0.0.1:{port}", key)
    sockets = {name: f"{folder}/{name}.sock" for name in ("gate", "api", "dataserver")}
    web = {
        "PATH": os.environ["PATH"],
        "SESSION_PREFIX": prefix,
        "WEB_LISTEN": f"127.0.0.1:{port}",
        "WEB_HEALTH_LISTEN": f"unix:{folder}/health.sock",
        "WEB_RUN_DIR": str(folder),
        "FOREIGN_PROGRAMS": "",
        **{f"{name.upper()}_UPSTREAM": f"unix:{path}" for name, path in sockets.items()},
    }
    python = sys.executable
    page = ["--page", str(folder / "page")]
    services = [python, str(FAKE_SERVICES), sockets["api"], sockets["dataserver"]]
    try:
        session.start("web", [python, "-m", "savu_web", *page], web)
        session.start("services", services, {"PATH": os.environ["PATH"]})
        session.start_gate()
        yield session
    finally:
        for process in session.processes.values():
            process.terminate()
        for process in session.processes.values():
            process.wait(20)


@pytest.fixture
def session(tmp_path: Path) -> Iterator[LinkSession]:
    with running_session(tmp_path, "/session/ada-1/", KEY) as session:
        yield session


# -- Starting -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["JUPYTERHUB_API_TOKEN", "JUPYTERHUB_USER", "JPY_API_TOKEN"])
def test_links_and_a_hub_exclude_each_other(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigurationError, match=f"GATE_LINK_KEY_FILE and {name} are both set"):
        from_environment({**gate_variables(tmp_path), name: "x"})


def test_without_links_and_without_a_hub_nobody_could_be_known(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"JUPYTERHUB_.*GATE_LINK_KEY_FILE"):
        from_environment({**gate_variables(tmp_path), "GATE_LINK_KEY_FILE": ""})


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("GATE_LINK_KEY_FILE", "/nonexistent/key", "No such file"),
        ("GATE_LINK_KEY_FILE", "/dev/null", "less than 32 bytes"),
        ("SESSION_PREFIX", "session", "SESSION_PREFIX"),
        ("SESSION_PREFIX", "/a b/", "SESSION_PREFIX"),
        ("SESSION_USER", "", "SESSION_USER"),
    ],
)
def test_an_unsafe_environment_without_a_hub_is_refused(
    tmp_path: Path, name: str, value: str, told: str
) -> None:
    with pytest.raises(ConfigurationError, match=told):
        from_environment({**gate_variables(tmp_path), name: value})


def test_the_key_is_not_in_what_settings_print(tmp_path: Path) -> None:
    assert KEY.decode() not in repr(from_environment(gate_variables(tmp_path)))


# -- Links ----------------------------------------------------------------------------------------


def test_a_link_lets_one_browser_in_once(session: LinkSession) -> None:
    link = session.entrance(session.link())
    first, second = session.browser(), session.browser()
    answer = first.navigate(link)
    assert (answer.status_code, "THE PAGE" in answer.text) == (200, True)
    assert str(answer.url) == session.url + session.prefix, "the link is not in the address"
    assert second.navigate(link).status_code == 401
    assert first.navigate(link).status_code == 401
    assert first.navigate(session.prefix).status_code == 200
    assert first.fetch("GET", f"{session.prefix}api/x").json()["program"] == "FakeApi"


@pytest.mark.parametrize(
    "kind", ["expired", "forged", "foreign", "of another kind", "a pass", "twice", "none", "junk"]
)
def test_another_link_opens_nothing(session: LinkSession, kind: str) -> None:
    good = session.link()
    entrance = {
        "expired": session.entrance(session.link(ago=contract.LINK_SECONDS + 1)),
        "forged": session.entrance(good[:-4] + ("AAAA" if good[-4:] != "AAAA" else "BBBB")),
        "foreign": session.entrance(session.link(b"o" * 32)),
        "of another kind": session.entrance(signed(KEY, "savu-other", "1.x")),
        "a pass": session.entrance(session.token()),
        "twice": session.entrance(good) + f"&link={good}",
        "none": session.prefix + contract.CALLBACK_PATH,
        "junk": session.entrance("%ff\u00e9|2|1:0"),
    }[kind]
    browser = session.browser()
    answer = browser.navigate(entrance)
    assert answer.status_code == 401
    assert "savu-spawner url" in answer.text
    assert not browser.client.cookies
    assert browser.navigate(session.prefix).status_code == 401


def test_a_link_is_not_used_up_by_a_browser_that_looks_ahead(session: LinkSession) -> None:
    link = session.entrance(session.link())
    browser = session.browser()
    assert browser.navigate(link, **{"Sec-Purpose": "prefetch"}).status_code == 401
    assert browser.client.head(link, headers=NAVIGATION).status_code == 405
    assert browser.navigate(link).status_code == 200


def test_a_restarted_gate_takes_no_link_from_before_and_keeps_who_is_in(
    session: LinkSession,
) -> None:
    inside = session.browser()
    inside.navigate(session.entrance(session.link()))
    link = session.entrance(session.link(ago=2))
    session.processes["gate"].kill()
    session.processes["gate"].wait()
    session.start_gate()
    assert session.browser().navigate(link).status_code == 401
    assert inside.navigate(session.prefix).status_code == 200


def test_links_from_the_future_open_nothing() -> None:
    now = 1_000_000.0
    links = Links(KEY, lambda: now)
    soon = f"{int(now) + AHEAD_SECONDS}.a"
    later = f"{int(now) + AHEAD_SECONDS + 1}.b"
    assert links.use(signed(KEY, contract.LINK_NAME, soon, lambda: now))
    assert not links.use(signed(KEY, contract.LINK_NAME, later, lambda: now))


def test_used_links_are_forgotten_only_when_they_have_expired() -> None:
    now = 1_000_000.0
    links = Links(KEY, lambda: now)
    ahead = int(now) + AHEAD_SECONDS
    link = signed(KEY, contract.LINK_NAME, f"{ahead}.a", lambda: ahead)
    assert links.use(link)
    for _ in range(AHEAD_SECONDS + contract.LINK_SECONDS + 2):
        now += 1
        assert not links.use(link)


# -- Without a link -------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["", "api/files", "data/info", "assets/app-1a2b.js", "x"])
def test_without_a_link_everything_is_closed(session: LinkSession, path: str) -> None:
    person = session.browser().navigate(session.prefix + path)
    program = httpx.get(session.url + session.prefix + path)
    assert (person.status_code, program.status_code) == (401, 401)
    assert "savu-spawner url" in person.text
    assert program.json()["code"] == "login-needed"
    assert "savu-spawner url --token" in program.json()["detail"]


@pytest.mark.parametrize("scheme", ["Bearer", "token"])
def test_a_script_comes_in_with_a_token_and_without_a_proof(
    session: LinkSession, scheme: str
) -> None:
    headers = {"Authorization": f"{scheme} {session.token()}"}
    answer = httpx.post(f"{session.url}{session.prefix}api/x", headers=headers, json={})
    assert answer.status_code == 200, answer.text
    assert answer.json()["headers"]["X-Forwarded-User"] == "ada"
    assert "Authorization" not in answer.json()["headers"]


def test_another_sessions_token_and_a_link_are_no_tokens(session: LinkSession) -> None:
    for text in (session.token(b"o" * 32), session.link(), session.token()[:-5], "x", "é"):
        headers = {"Authorization": f"Bearer {text}".encode()}
        answer = httpx.get(f"{session.url}{session.prefix}api/x", headers=headers)
        assert answer.status_code == 401


# -- The rules that hold with a hub ---------------------------------------------------------------


@pytest.fixture
def inside(session: LinkSession) -> Browser:
    browser = session.browser()
    browser.navigate(session.entrance(session.link()))
    return browser


def test_a_change_needs_the_proof_that_the_page_asked(
    session: LinkSession, inside: Browser
) -> None:
    path = f"{session.prefix}api/x"
    assert inside.fetch("POST", path).status_code == 200
    for proof in ("", "forged", inside.xsrf_for(path)[:-2]):
        answer = inside.fetch("POST", path, xsrf=proof)
        assert (answer.status_code, answer.json()["code"]) == (403, "xsrf")


def test_another_site_may_only_link_to_the_session(session: LinkSession, inside: Browser) -> None:
    path = f"{session.prefix}api/x"
    foreign = {"Sec-Fetch-Site": "cross-site"}
    assert inside.fetch("POST", path, headers=foreign).status_code == 403
    origin = {"Origin": "http://evil.example"}
    assert inside.fetch("POST", path, headers=origin).status_code == 403
    assert inside.navigate(session.prefix, **foreign).status_code == 200


def test_programs_never_see_the_cookie_or_set_one(session: LinkSession, inside: Browser) -> None:
    answer = inside.fetch("GET", f"{session.prefix}api/x")
    assert "Cookie" not in answer.json()["headers"]
    assert "X-XSRFToken" not in answer.json()["headers"]
    assert "Set-Cookie" not in answer.headers


def test_the_cookie_belongs_to_the_session_and_to_no_script(session: LinkSession) -> None:
    answer = httpx.get(session.url + session.entrance(session.link()), headers=NAVIGATION)
    cookies = answer.headers.get_list("Set-Cookie")
    assert all(f"Path={session.prefix}" in cookie for cookie in cookies)
    (rest,) = [cookie for cookie in cookies if cookie.startswith("savu-session-")]
    assert "HttpOnly" in rest
    assert "SameSite=Lax" in rest


def test_whoever_leaves_is_outside(session: LinkSession, inside: Browser) -> None:
    answer = inside.navigate(f"{session.prefix}{contract.LOGOUT_PATH}")
    assert (answer.status_code, "You have left" in answer.text) == (200, True)
    assert inside.navigate(session.prefix).status_code == 401


def test_the_page_asks_who_else_was_here(session: LinkSession, inside: Browser) -> None:
    answer = inside.fetch("GET", f"{session.prefix}internal/entries")
    assert answer.json() == {"admit": "owner", "foreign": [], "entries": []}


# -- Two sessions, one browser --------------------------------------------------------------------


@pytest.mark.parametrize("other", ["/session/ada-2/", "/session/ada-1/"])
def test_two_sessions_on_one_machine_do_not_disturb_each_other(
    session: LinkSession, tmp_path_factory: pytest.TempPathFactory, other: str
) -> None:
    """Cookies ignore ports; even where the paths are the same the logins are kept apart."""
    folder = tmp_path_factory.mktemp("b")
    with running_session(folder, other, b"o" * 32) as second:
        browser = session.browser()
        for each in (session, second):
            answer = browser.navigate(each.url + each.entrance(each.link()))
            assert answer.status_code == 200
        for each in (session, second, session):
            assert browser.navigate(each.url + each.prefix).status_code == 200
            headers = {**FETCH, "X-XSRFToken": browser.xsrf_for(each.prefix)}
            answer = browser.client.post(f"{each.url}{each.prefix}api/x", headers=headers)
            assert answer.status_code == 200


# -- Logs -----------------------------------------------------------------------------------------


def test_no_log_has_what_opens_the_session(session: LinkSession) -> None:
    used, expired = session.link(), session.link(ago=1000)
    foreign = session.link(b"o" * 32)
    browser = session.browser()
    for link in (used, used, expired, foreign):
        browser.navigate(session.entrance(link))
    browser.fetch("POST", f"{session.prefix}api/x", xsrf="forged")
    httpx.get(f"{session.url}{session.prefix}api/x", headers={"Authorization": f"Bearer {foreign}"})
    cookies = [cookie.value or "" for cookie in browser.client.cookies.jar]
    session.processes["services"].terminate()
    session.processes["services"].wait()
    answer = browser.fetch("GET", f"{session.prefix}api/x?link={used}")
    assert answer.status_code == 503, "a failure that nginx writes a line about"
    logs = session.logs()
    assert "entered with a link" in logs
    assert "answered 503" in logs
    for secret in (used, expired, foreign, KEY.decode(), session.token(), *cookies):
        assert secret[:40] not in logs
