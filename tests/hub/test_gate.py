"""Nobody gets in where they do not belong: the real gate and nginx behind a real hub and proxy."""

from __future__ import annotations

import http.client
import json
import os
import re
import secrets
import signal
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from urllib.parse import parse_qs, quote, urlsplit

import httpx
import pytest

from tests.support.gate_bed import (
    FETCH,
    NAVIGATION,
    WEBSOCKET,
    Browser,
    GateBed,
    RawAnswer,
    Session,
    eventually,
    raw_request,
    running_gate_bed,
    start_together,
)

CACHE_SECONDS = 1

INSIDE = re.compile(rb"FakeApi|FakeDataserver|THE PAGE|document\.title|0123456789")
"""What only a session's own programs and page say."""


@pytest.fixture(scope="module")
def gate_bed() -> Iterator[GateBed]:
    with running_gate_bed() as bed:
        yield bed


@dataclass
class Started:
    default: Session
    named: Session
    olga: Session


@pytest.fixture(scope="module")
def started(gate_bed: GateBed) -> Started:
    """Alice's two servers, which admit whom JupyterHub grants access, and olga's, hers alone."""
    for user in ("bob", "carol", "dora"):
        gate_bed.api("POST", f"/users/{user}")
    return Started(*start_together(gate_bed, ("alice", ""), ("alice", "second"), ("olga", "")))


@pytest.fixture(scope="module", params=["default", "named"])
def session(started: Started, request: pytest.FixtureRequest) -> Session:
    """One of alice's two servers."""
    found: Session = getattr(started, request.param)
    return found


@pytest.fixture(params=["proxy", "port"])
def entrance(gate_bed: GateBed, session: Session, request: pytest.FixtureRequest) -> str:
    """Base URL of the session: through the proxy, or directly at its port."""
    return gate_bed.url if request.param == "proxy" else session.direct


@pytest.fixture(scope="module")
def alice(gate_bed: GateBed, session: Session) -> Browser:
    """Alice's browser, logged in at this session."""
    browser = gate_bed.browser("alice")
    assert "THE PAGE" in browser.navigate(session.prefix).text
    return browser


@pytest.fixture(scope="module")
def alices_token(gate_bed: GateBed) -> str:
    return gate_bed.token("alice")[0]


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"token {token}"}


def assert_nothing_of_the_session(answer: RawAnswer | httpx.Response) -> None:
    """Refused, by this side of the gate, and not by falling over."""
    status = answer.status if isinstance(answer, RawAnswer) else answer.status_code
    body = answer.body if isinstance(answer, RawAnswer) else answer.content
    assert 300 <= status < 500, (status, body[:300])
    assert not INSIDE.search(body)


# -- Nobody known -------------------


@pytest.mark.parametrize("path", ["", "files?path=/dls", "api/anything", "data/anything"])
def test_a_person_who_is_not_logged_in_is_sent_to_log_in(
    entrance: str, session: Session, path: str
) -> None:
    answer = raw_request(entrance, session.prefix + path, NAVIGATION)
    assert answer.status == 302
    target = urlsplit(answer.headers["location"])
    query = parse_qs(target.query)
    assert target.path == "/hub/api/oauth2/authorize"
    assert query["state"]
    assert query.get("code_challenge_method") == (None if is_jupyterhub_5() else ["S256"])
    assert query["client_id"] == [f"jupyterhub-user-alice{'-second' if session.name else ''}"]
    assert not INSIDE.search(answer.body)


def is_jupyterhub_5() -> bool:
    """PKCE came with JupyterHub 6."""
    import jupyterhub

    return jupyterhub.version_info[0] < 6


PATHS = (
    "",
    "index.html",
    "files",
    "assets/app-1a2b.js",
    "api/session",
    "api/jobs/events",
    "api/internal/health",
    "data/info?path=/x",
    "data/internal/health",
    "internal/entries",
)


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param(FETCH, id="fetch"),
        pytest.param({"Accept": "*/*"}, id="curl"),
        pytest.param({"Accept": "application/json"}, id="json"),
        pytest.param({"Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"}, id="image"),
        pytest.param({"Range": "bytes=0-3"}, id="range"),
        pytest.param({"If-None-Match": "*", "If-Modified-Since": "x"}, id="conditional"),
        pytest.param(WEBSOCKET, id="websocket"),
        pytest.param({"Connection": "Upgrade", "Upgrade": "h2c"}, id="h2c"),
    ],
)
def test_a_program_that_is_not_logged_in_gets_401_and_no_redirect(
    gate_bed: GateBed, entrance: str, session: Session, headers: dict[str, str]
) -> None:
    for path in PATHS:
        if headers.get("Upgrade") == "h2c" and entrance == gate_bed.url:
            with pytest.raises(http.client.RemoteDisconnected):  # the proxy's own refusal
                raw_request(entrance, session.prefix + path, headers)
            continue
        answer = raw_request(entrance, session.prefix + path, headers)
        assert answer.status == 401, path
        assert "location" not in answer.headers
        assert "basic" not in answer.headers["www-authenticate"].lower()
        assert json.loads(answer.body)["code"] == "login-needed"


@pytest.mark.parametrize(
    "method", ["HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "PROPFIND", "TRACE", "M-SEARCH"]
)
@pytest.mark.parametrize("path", ["", "api/x", "data/x", "assets/app-1a2b.js"])
def test_every_method_needs_a_login(
    entrance: str, session: Session, path: str, method: str
) -> None:
    answer = raw_request(entrance, session.prefix + path, {"Accept": "*/*"}, method)
    assert answer.status in (400, 401, 405)
    assert_nothing_of_the_session(answer)


@pytest.mark.parametrize("path", ["api/upload", "data/upload", ""])
def test_a_large_upload_is_refused_before_it_is_sent(session: Session, path: str) -> None:
    size = {"Content-Length": str(120 * 2**20)}
    answer = raw_request(session.direct, session.prefix + path, size, "PUT")
    assert answer.status == 401


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param({"Cookie": "jupyterhub-user-alice=forged"}, id="forged cookie"),
        pytest.param(
            {"Cookie": "jupyterhub-user-alice=2|1:0|10:1|3:x|4:eA==|" + "0" * 64},
            id="bad signature",
        ),
        pytest.param({"Authorization": "token garbage"}, id="garbage token"),
        pytest.param({"Authorization": "token " + "g" * 3000}, id="3 KB token"),
        pytest.param({"Authorization": "token \xfc\xe9"}, id="token that is not ASCII"),
        pytest.param({"Authorization": "Basic YWxpY2U6LQ=="}, id="password"),
        pytest.param({"Authorization": "Bearer"}, id="empty bearer"),
    ],
)
def test_forged_credentials_are_nobody(
    entrance: str, session: Session, headers: dict[str, str]
) -> None:
    answer = raw_request(entrance, session.prefix + "api/x", headers)
    assert answer.status == 401, answer.body


def test_a_token_in_the_address_is_ignored(
    entrance: str, session: Session, alices_token: str
) -> None:
    for headers in (FETCH, {"Accept": "*/*"}, {**WEBSOCKET, "Sec-Fetch-Mode": "websocket"}):
        target = f"{session.prefix}api/x?token={alices_token}"
        assert raw_request(entrance, target, headers).status == 401


def test_readiness_tells_strangers_nothing(entrance: str, session: Session) -> None:
    answer = raw_request(entrance, session.prefix + "api")
    assert (answer.status, answer.body) == (401, b"")
    assert answer.headers["x-jupyterhub-version"]


# -- Ways round -------------------


TRICKS = [
    "{p}api/../api/x",
    "{p}%61pi/x",
    "{p}api%2fx",
    "{p}api//x",
    "{p}/api/x",
    "/{p}api/x",
    "{p}api;a=b/x",
    "{p}api/x%00",
    "{p}api\\x",
    "{p}api/%2e%2e/%2e%2e/x",
    "{p}assets/../index.html",
    "{p}assets/..%2findex.html",
    "{p}assets/%2e%2e/%2e%2e/nginx.conf",
    "{p}oauth_callback/../api/x",
    "{p}oauth_callback/x",
    "{p}oauth_callback%2f../api/x",
    "{p}logout/../api/x",
    "{p}api/../logout/../api/x",
    "{p}@login",
    "{p}@page",
    "/.gate/api",
    "/.gate/page",
    "{p}.gate/page",
    "{p}../../.gate/page",
    "/hub/../{p}api/x",
    "http://gate{p}api/x",
    "{p}index.html/",
    "{p}nginx.conf",
    "*",
]


@pytest.mark.parametrize("trick", TRICKS)
def test_no_spelling_of_a_path_leads_past_the_gate(
    entrance: str, session: Session, trick: str
) -> None:
    for headers in (NAVIGATION, {"Accept": "*/*"}):
        answer = raw_request(entrance, trick.format(p=session.prefix), headers)
        assert_nothing_of_the_session(answer)


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Gate-User": "alice", "X-Forwarded-User": "alice"},
        {"X-Gate-Uri": "/", "X-Gate-Host": "gate", "X-Gate-Method": "GET", "X-Gate-Reason": "x"},
        {"X-Original-URI": "/", "X-Original-URL": "/", "X-Rewrite-URL": "/"},
        {"X-Accel-Redirect": "/user/alice/index.html"},
        {"X-HTTP-Method-Override": "OPTIONS"},
        {"X-Real-IP": "127.0.0.1", "X-Forwarded-For": "127.0.0.1", "Forwarded": "for=127.0.0.1"},
        {"Host": "gate"},
        {"Connection": "close, X-Gate-Method, X-Gate-Uri"},
        {"Expect": "100-continue", "Content-Length": "3"},
        {"Transfer-Encoding": "chunked"},
    ],
    ids=lambda headers: next(iter(headers)),
)
def test_no_header_leads_past_the_gate(session: Session, headers: dict[str, str]) -> None:
    for path in ("api/x", "data/x", ""):
        answer = raw_request(session.direct, session.prefix + path, headers, "POST", b"0\r\n\r\n")
        assert answer.status == 401, answer.body


def test_the_programs_own_paths_are_closed_even_to_the_owner(
    session: Session, alice: Browser
) -> None:
    for path in (
        "api/internal/health",
        "api/internal/activity",
        "api//internal/health",
        "api/x/../internal/health",
        "api/%69nternal/health",
        "data/internal/health",
        "data/internal",
    ):
        assert alice.fetch("GET", session.prefix + path).status_code == 404, path


def test_a_user_program_cannot_make_nginx_serve_what_is_inside(
    session: Session, alice: Browser
) -> None:
    for inside in ("/.gate/api", f"{session.prefix}index.html", "/etc/passwd"):
        answer = alice.fetch("GET", f"{session.prefix}api/accel?to={inside}")
        assert answer.text == "not redirected"


# -- Somebody else -------------------


def test_another_user_is_refused_by_every_way(gate_bed: GateBed, session: Session) -> None:
    bob = gate_bed.browser("bob")
    answer = bob.navigate(session.prefix)
    assert answer.status_code == 403
    assert not INSIDE.search(answer.content)
    token = bearer(gate_bed.token("bob")[0])
    for method, headers in (("GET", {}), ("POST", {}), ("GET", WEBSOCKET)):
        target = session.prefix + "api/x"
        answer = raw_request(session.direct, target, {**headers, **token}, method)
        assert (answer.status, json.loads(answer.body)["code"]) == (403, "no-access")


def test_a_token_of_the_owner_without_the_scope_is_refused(
    gate_bed: GateBed, session: Session
) -> None:
    token, _ = gate_bed.token("alice", "read:users:name!user=alice")
    answer = raw_request(session.direct, session.prefix + "api/x", bearer(token))
    assert answer.status == 403


def test_a_token_for_one_server_does_not_open_the_other(
    gate_bed: GateBed, started: Started
) -> None:
    token, _ = gate_bed.token("alice", "access:servers!server=alice/second")
    for session, status in ((started.named, 200), (started.default, 403)):
        target = session.prefix + "api/x"
        assert raw_request(session.direct, target, bearer(token)).status == status


def test_a_cookie_of_another_session_is_nobody_here(
    gate_bed: GateBed, started: Started, session: Session
) -> None:
    olga = gate_bed.browser("olga")
    olga.navigate(started.olga.prefix)
    value = olga.cookie("jupyterhub-user-olga", started.olga.prefix)
    assert value
    for name in ("jupyterhub-user-alice", "jupyterhub-user-alice-second", "jupyterhub-user-olga"):
        headers = {"Cookie": f"{name}={value}"}
        assert raw_request(session.direct, session.prefix + "api/x", headers).status == 401


def test_an_administrator_enters_where_the_site_allows_it_and_the_owner_sees_it(
    gate_bed: GateBed, session: Session, alice: Browser
) -> None:
    admin = gate_bed.browser("admin")
    assert "THE PAGE" in admin.navigate(session.prefix).text
    seen = admin.fetch("GET", session.prefix + "api/x").json()["headers"]
    assert seen["X-Forwarded-User"] == "admin"
    entries = alice.fetch("GET", session.prefix + "internal/entries").json()
    assert entries["admit"] == "granted"
    assert ("admin", "user") in {(entry["name"], entry["kind"]) for entry in entries["entries"]}
    assert "alice" not in {entry["name"] for entry in entries["entries"]}
    assert "entered by user 'admin'" in session.logs()


def test_only_the_owner_enters_unless_the_site_says_otherwise(
    gate_bed: GateBed, started: Started
) -> None:
    olga, admin = gate_bed.browser("olga"), gate_bed.browser("admin")
    prefix = started.olga.prefix
    assert "THE PAGE" in olga.navigate(prefix).text
    answer = admin.navigate(prefix)
    assert answer.status_code == 403
    assert "Only its owner may enter this session" in answer.text
    assert admin.fetch("GET", prefix + "api/x").json()["code"] == "not-owner"
    tokens = (gate_bed.token("admin")[0], gate_bed.chief)
    assert [
        raw_request(started.olga.direct, prefix + "api/x", bearer(token)).status for token in tokens
    ] == [403, 403]
    assert olga.fetch("GET", prefix + "api/x").status_code == 200


def test_a_share_opens_the_session_until_it_is_revoked(gate_bed: GateBed, session: Session) -> None:
    carol = gate_bed.browser("carol")
    share = f"/shares/alice/{session.name}"
    assert carol.navigate(session.prefix).status_code == 403
    assert gate_bed.api("POST", share, json={"user": "carol"}).status_code == 200
    assert "THE PAGE" in carol.navigate(session.prefix).text
    assert carol.fetch("GET", session.prefix + "api/x").status_code == 200
    assert gate_bed.api("PATCH", share, json={"user": "carol"}).status_code == 200
    eventually(
        lambda: carol.fetch("GET", session.prefix + "api/x").status_code in (401, 403),
        CACHE_SECONDS + 2,
        "carol is out",
    )


def test_a_role_for_a_group_of_owners_opens_the_session(
    gate_bed: GateBed, session: Session
) -> None:
    assert "THE PAGE" in gate_bed.browser("dora").navigate(session.prefix).text


def test_a_service_with_the_scope_is_let_in_by_its_token(
    gate_bed: GateBed, session: Session
) -> None:
    answer = raw_request(session.direct, session.prefix + "api/x", bearer(gate_bed.robot))
    assert json.loads(answer.body)["headers"]["X-Forwarded-User"] == "service:robot"


# -- Tokens -------------------


@pytest.mark.parametrize("scheme", ["token", "Bearer"])
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "PROPFIND"])
def test_a_token_works_for_every_method_without_a_proof(
    entrance: str, session: Session, alices_token: str, method: str, scheme: str
) -> None:
    headers = {"Authorization": f"{scheme} {alices_token}", "Content-Length": "2"}
    answer = raw_request(entrance, session.prefix + "data/x", headers, method, b"{}")
    seen = json.loads(answer.body)
    assert (seen["program"], seen["method"], seen["path"]) == ("FakeDataserver", method, "/x")


def test_a_websocket_opens_with_a_token_and_with_a_cookie(
    entrance: str, session: Session, alice: Browser, alices_token: str
) -> None:
    target = session.prefix + "api/ws"
    origin = {"Origin": entrance, "Cookie": alice.cookie_header(session.prefix)}
    for headers in (bearer(alices_token), origin):
        assert raw_request(entrance, target, {**WEBSOCKET, **headers}).status == 101


# -- Logging in -------------------


def callback_of(browser: Browser, session: Session) -> str:
    """Follow a login up to the hub's redirect back, and stop there."""
    answer = browser.client.get(session.prefix, headers=NAVIGATION)
    while not (path := urlsplit(answer.headers["location"]).path).endswith("/oauth_callback"):
        assert path.startswith("/hub/")
        answer = browser.client.get(answer.headers["location"], headers=NAVIGATION)
    location: str = answer.headers["location"]
    return location


def test_a_login_code_is_good_once_and_for_its_own_login_only(
    gate_bed: GateBed, session: Session
) -> None:
    alice, mallory = gate_bed.browser("alice"), gate_bed.browser("mallory")
    callback = callback_of(alice, session)
    stolen = mallory.client.get(callback, headers=NAVIGATION)
    assert (stolen.status_code, stolen.headers.get("set-cookie")) == (403, None)
    state = parse_qs(urlsplit(callback).query)["state"][0]
    cookies = alice.cookie_header(session.prefix)
    assert alice.client.get(callback, headers=NAVIGATION).status_code == 302
    replayed = raw_request(
        session.direct, callback, {**NAVIGATION, "Cookie": cookies.replace("jupyterhub-user", "x")}
    )
    assert replayed.status in (302, 403)
    assert "jupyterhub-user-alice=" not in replayed.headers.get("set-cookie", "")
    for query in ("", "?code=x", f"?state={state}", "?state=x&code=x", "?error=access_denied"):
        answer = gate_bed.browser("nobody").client.get(
            f"{session.prefix}oauth_callback{query}", headers=NAVIGATION
        )
        assert answer.status_code == 403, query
        assert "Open the session" in answer.text


def test_a_forged_code_is_refused_and_not_a_fault(gate_bed: GateBed, session: Session) -> None:
    alice = gate_bed.browser("alice")
    callback = callback_of(alice, session)
    forged = re.sub(r"code=[^&]*", "code=forged", callback)
    answer = alice.client.get(forged, headers=NAVIGATION)
    assert answer.status_code == 403
    assert "Login not completed" in answer.text


def test_after_logging_in_one_arrives_where_one_wanted_to_go(
    gate_bed: GateBed, session: Session
) -> None:
    answer = gate_bed.browser("alice").navigate(f"{session.prefix}files?path=/dls/a%20b&x=1")
    assert str(answer.url) == f"{gate_bed.url}{session.prefix}files?path=/dls/a%20b&x=1"
    assert "THE PAGE" in answer.text


@pytest.mark.parametrize(
    "target", ["//evil.example/../{p}", "{p}\\evil.example", "{p}/evil.example", "{p}..//evil.x/"]
)
def test_logging_in_leads_to_no_other_host(
    gate_bed: GateBed, session: Session, target: str
) -> None:
    """The request goes to the port, as it is spelled; the browser completes the login."""
    alice = gate_bed.browser("alice")
    first = raw_request(session.direct, target.format(p=session.prefix), NAVIGATION)
    if first.status != 302:
        assert_nothing_of_the_session(first)
        return
    set_cookie = first.headers["set-cookie"].split(";")[0]
    name, _, value = set_cookie.partition("=")
    alice.client.cookies.set(name, value.strip('"'), domain="127.0.0.1", path=session.prefix)
    answer = alice.client.get(first.headers["location"], headers=NAVIGATION)
    back = alice.client.get(answer.headers["location"], headers=NAVIGATION)
    assert back.status_code in (302, 403)
    if back.status_code == 302:
        assert back.headers["location"].startswith(session.prefix)
        assert "//" not in back.headers["location"]


def test_refused_cookies_end_in_a_sentence_and_not_in_a_loop(
    gate_bed: GateBed, session: Session
) -> None:
    alice = gate_bed.browser("alice")
    answer = alice.client.get(session.prefix, headers=NAVIGATION)
    for _ in range(10):
        if answer.status_code != 302:
            break
        for cookie in list(alice.client.cookies.jar):
            if cookie.path == session.prefix:
                alice.client.cookies.delete(cookie.name, cookie.domain, cookie.path)
        answer = alice.client.get(answer.headers["location"], headers=NAVIGATION)
    assert answer.status_code == 403
    assert "cookies are blocked" in answer.text


def test_two_tabs_can_log_in_at_the_same_time(gate_bed: GateBed, session: Session) -> None:
    alice = gate_bed.browser("alice")
    first, second = callback_of(alice, session), callback_of(alice, session)
    for callback in (first, second):
        answer = alice.client.get(callback, headers=NAVIGATION, follow_redirects=True)
        assert "THE PAGE" in answer.text


# -- Logging out and other ends -------------------


def test_logging_out_ends_this_browsers_access_at_once(gate_bed: GateBed, session: Session) -> None:
    alice = gate_bed.browser("alice")
    alice.navigate(session.prefix)
    stolen = {"Cookie": alice.cookie_header(session.prefix)}
    target = session.prefix + "api/x"
    assert raw_request(session.direct, target, stolen).status == 200
    answer = alice.navigate(f"{session.prefix}logout")
    assert "/hub/" in str(answer.url)
    assert alice.fetch("GET", target).status_code == 401
    eventually(
        lambda: raw_request(session.direct, target, stolen).status == 401,
        CACHE_SECONDS + 2,
        "the stolen cookie is worthless",
    )


def test_logging_out_at_the_hub_ends_access_at_once_too(
    gate_bed: GateBed, session: Session
) -> None:
    alice = gate_bed.browser("alice")
    alice.navigate(session.prefix)
    assert alice.fetch("GET", session.prefix + "api/x").status_code == 200
    alice.client.get("/hub/logout", headers=NAVIGATION)
    assert alice.fetch("GET", session.prefix + "api/x").status_code == 401


def test_a_deleted_token_is_worthless_within_the_stated_delay(
    gate_bed: GateBed, session: Session
) -> None:
    token, number = gate_bed.token("alice")
    target = session.prefix + "api/x"
    assert raw_request(session.direct, target, bearer(token)).status == 200
    gate_bed.api("DELETE", f"/users/alice/tokens/{number}")
    eventually(
        lambda: raw_request(session.direct, target, bearer(token)).status == 401,
        CACHE_SECONDS + 2,
        "the deleted token is worthless",
    )


def test_a_stopped_session_is_the_hubs_and_a_new_one_knows_no_old_cookie(
    gate_bed: GateBed,
) -> None:
    session = gate_bed.start("sam")
    sam = gate_bed.browser("sam")
    assert "THE PAGE" in sam.navigate(session.prefix).text
    gate_bed.stop(session)
    answer = sam.client.get(session.prefix, headers=NAVIGATION)
    assert (answer.status_code, answer.headers["location"][:5]) == (302, "/hub/")
    again = gate_bed.start("sam")
    assert sam.fetch("GET", again.prefix + "api/x").status_code == 401
    assert "THE PAGE" in sam.navigate(again.prefix).text
    gate_bed.stop(again)


# -- Requests that are not the page's own -------------------


def test_the_pages_own_requests_are_let_in(session: Session, alice: Browser) -> None:
    for method in ("GET", "POST", "PUT", "DELETE", "PATCH"):
        seen = alice.fetch(method, session.prefix + "api/jobs?a=1").json()
        assert (seen["program"], seen["path"], seen["query"]) == ("FakeApi", "/jobs", "a=1")


def test_a_request_without_the_right_proof_is_refused(
    gate_bed: GateBed, session: Session, started: Started, alice: Browser
) -> None:
    other = started.named if session is started.default else started.default
    elsewhere = gate_bed.browser("alice")
    elsewhere.navigate(session.prefix)
    elsewhere.navigate(other.prefix)
    wrong = {
        "none": "",
        "wrong": "x" * 40,
        "of another server": elsewhere.xsrf_for(other.prefix),
        "of another browser": elsewhere.xsrf_for(session.prefix),
    }
    for reason, proof in wrong.items():
        for method in ("GET", "POST", "DELETE"):
            answer = alice.fetch(method, session.prefix + "api/x", xsrf=proof)
            assert (answer.status_code, answer.json()["code"]) == (403, "xsrf"), reason


@pytest.mark.parametrize(
    ("method", "headers"),
    [
        ("POST", {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}),
        ("GET", {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "cors"}),
        ("POST", {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}),
        (
            "GET",
            {
                "Sec-Fetch-Site": "cross-site",
                "Sec-Fetch-Mode": "no-cors",
                "Sec-Fetch-Dest": "image",
            },
        ),
        (
            "GET",
            {
                "Sec-Fetch-Site": "cross-site",
                "Sec-Fetch-Mode": "navigate",
                "Sec-Fetch-Dest": "iframe",
            },
        ),
        ("GET", {"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "cors"}),
        ("POST", {"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "cors"}),
        ("POST", {"Origin": "https://evil.example"}),
        ("POST", {"Origin": "null"}),
        ("POST", {"Origin": "http://["}),
        ("POST", {}),
    ],
)
@pytest.mark.parametrize("proof", [False, True], ids=["no proof", "proof"])
def test_another_site_cannot_ask_in_the_users_name(
    session: Session, alice: Browser, method: str, headers: dict[str, str], proof: bool
) -> None:
    if not headers and proof:
        return  # an old browser's request with the proof is the page's own
    for path in ("api/x", "data/x", "assets/app-1a2b.js", ""):
        if path in ("", "assets/app-1a2b.js") and not headers:
            continue
        cookies = {"Cookie": alice.cookie_header(session.prefix)}
        proofs = {"X-XSRFToken": alice.xsrf_for(session.prefix)} if proof else {}
        answer = raw_request(
            session.direct, session.prefix + path, {**headers, **cookies, **proofs}, method
        )
        assert answer.status == 403, (path, answer.body)
        assert_nothing_of_the_session(answer)


def test_a_method_in_a_header_does_not_replace_the_real_one(
    session: Session, alice: Browser
) -> None:
    headers = {
        "Cookie": alice.cookie_header(session.prefix),
        "X-Gate-Method": "GET",
        "X-HTTP-Method-Override": "GET",
    }
    assert raw_request(session.direct, session.prefix + "api/x", headers, "POST").status == 403


def test_a_websocket_from_another_site_is_refused(session: Session, alice: Browser) -> None:
    cookies = {"Cookie": alice.cookie_header(session.prefix)}
    for origin in ("https://evil.example", "null", f"{session.direct}.evil.example"):
        headers = {**WEBSOCKET, **cookies, "Origin": origin}
        assert raw_request(session.direct, session.prefix + "api/ws", headers).status == 403


def test_what_cannot_carry_a_header_still_works(session: Session, alice: Browser) -> None:
    prefix = session.prefix
    download = alice.client.get(f"{prefix}api/files/content?path=/x", headers=NAVIGATION)
    assert download.json()["program"] == "FakeApi"
    script = {"Sec-Fetch-Mode": "cors", "Sec-Fetch-Site": "same-origin", "Sec-Fetch-Dest": "script"}
    assert "ran" in alice.client.get(f"{prefix}assets/app-1a2b.js", headers=script).text
    image = {**script, "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"}
    assert alice.client.get(f"{prefix}data/slice", headers=image).status_code == 200
    events = f"{prefix}api/jobs/events?_xsrf={quote(alice.xsrf_for(prefix))}"
    assert alice.client.get(events, headers=FETCH).status_code == 200
    assert alice.client.get(f"{prefix}api/jobs/events", headers=FETCH).status_code == 403


def test_a_link_on_another_site_leads_to_the_page(session: Session, alice: Browser) -> None:
    headers = {**NAVIGATION, "Sec-Fetch-Site": "cross-site"}
    assert "THE PAGE" in alice.client.get(session.prefix, headers=headers).text


def test_the_proof_is_issued_again_after_the_browser_was_closed(
    gate_bed: GateBed, session: Session
) -> None:
    alice = gate_bed.browser("alice")
    alice.navigate(session.prefix)
    alice.client.cookies.delete("_xsrf", "127.0.0.1", session.prefix)
    target = session.prefix + "api/x"
    assert alice.fetch("GET", target).status_code == 403
    assert "THE PAGE" in alice.navigate(f"{session.prefix}files").text
    assert alice.fetch("GET", target).status_code == 200


# -- What reaches the programs, and what comes back -------------------


def test_the_programs_see_who_asks_and_nothing_to_ask_with(
    entrance: str, session: Session, alice: Browser, alices_token: str
) -> None:
    cookies = {
        "Cookie": alice.cookie_header(session.prefix),
        "X-XSRFToken": alice.xsrf_for(session.prefix),
        "X-CSRFToken": "x",
    }
    for path in ("api/x", "data/x"):
        for headers in (cookies, {**cookies, **bearer(alices_token)}):
            spoofed = {**headers, "X-Forwarded-User": "admin", "Proxy-Authorization": "x"}
            target = f"{session.prefix}{path}?a=1&_xsrf={alice.xsrf_for(session.prefix)}&b=2"
            seen = json.loads(raw_request(entrance, target, spoofed).body)
            names = {name.lower() for name in seen["headers"]}
            assert not names & {
                "cookie",
                "authorization",
                "proxy-authorization",
                "x-xsrftoken",
                "x-csrftoken",
            }
            assert seen["headers"]["X-Forwarded-User"] == "alice"
            assert alice.xsrf_for(session.prefix) not in json.dumps(seen)
            assert parse_qs(seen["query"]) == {"a": ["1"], "b": ["2"]}


@pytest.mark.parametrize("status", [200, 201, 400, 401, 403, 404, 500, 503])
@pytest.mark.parametrize("program", ["api", "data"])
def test_a_users_program_cannot_speak_for_the_site(
    session: Session, alice: Browser, program: str, status: int
) -> None:
    answer = alice.fetch("GET", f"{session.prefix}{program}/wicked/{status}")
    assert answer.status_code == status
    assert "owned" in answer.text
    for name in (
        "Set-Cookie",
        "Access-Control-Allow-Origin",
        "Access-Control-Allow-Credentials",
        "Service-Worker-Allowed",
        "Clear-Site-Data",
        "WWW-Authenticate",
        "Strict-Transport-Security",
        "Alt-Svc",
    ):
        assert name not in answer.headers, name
    policy = answer.headers["Content-Security-Policy"]
    assert policy.startswith("sandbox;")
    assert "frame-ancestors 'none'" in policy
    assert "script-src" not in policy
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_every_answer_but_the_page_is_sandboxed(session: Session, alice: Browser) -> None:
    for path in ("api/x", "data/x", "api/internal/health", "internal/entries"):
        policy = alice.fetch("GET", session.prefix + path).headers["Content-Security-Policy"]
        assert policy.startswith("sandbox;"), path
    anonymous = raw_request(session.direct, session.prefix + "api/x")
    assert anonymous.headers["content-security-policy"].startswith("sandbox;")


def test_the_page_runs_only_its_own_scripts_and_is_never_framed(
    session: Session, alice: Browser
) -> None:
    headers = alice.navigate(session.prefix).headers
    policy = dict(part.split(" ", 1) for part in headers["Content-Security-Policy"].split("; "))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"].split() == ["'self'", "'unsafe-eval'"]
    assert policy["connect-src"] == "'self'"
    assert policy["frame-ancestors"] == "'none'"
    assert headers["Cache-Control"] == "private, no-cache"
    script = alice.client.get(f"{session.prefix}assets/app-1a2b.js", headers=FETCH)
    assert script.headers["Cache-Control"] == "private, max-age=31536000, immutable"
    assert script.headers["Content-Encoding"] == "gzip"


def test_addresses_of_the_page_show_it_and_missing_files_are_missing(
    session: Session, alice: Browser
) -> None:
    assert "THE PAGE" in alice.navigate(f"{session.prefix}files?path=/x").text
    assert alice.client.get(f"{session.prefix}files", headers=FETCH).status_code == 404
    for path in ("assets/none.js", "none.css", "files/deeper"):
        assert alice.navigate(session.prefix + path).status_code == 404
    answer = alice.client.get(session.prefix.rstrip("/") + "?a=1", headers=NAVIGATION)
    assert (answer.status_code, answer.headers["location"]) == (301, f"{session.prefix}?a=1")


def test_cookies_belong_to_this_session_only(gate_bed: GateBed, session: Session) -> None:
    alice = gate_bed.browser("alice")
    answer = alice.client.get(callback_of(alice, session), headers=NAVIGATION)
    cookies = {text.split("=")[0]: text for text in answer.headers.get_list("set-cookie")}
    name = f"jupyterhub-user-alice{'-second' if session.name else ''}"
    for cookie in (name, "_xsrf"):
        assert f"; Path={session.prefix}" in cookies[cookie]
        assert "; SameSite=Lax" in cookies[cookie]
        assert "Domain" not in cookies[cookie]
    assert "; HttpOnly" in cookies[name]
    assert name not in alice.cookie_header("/user/bob/")
    assert name not in alice.cookie_header("/hub/")


def test_over_https_cookies_are_secure(gate_bed: GateBed, session: Session) -> None:
    secure = {"X-Forwarded-Proto": "https"}
    alice = gate_bed.browser("alice")
    answer = raw_request(session.direct, session.prefix, {**NAVIGATION, **secure})
    assert "; Secure" in answer.headers["set-cookie"]
    assert alice.client.get(callback_of(alice, session), headers={**NAVIGATION, **secure})


def test_no_log_opens_a_session(gate_bed: GateBed, session: Session, alices_token: str) -> None:
    alice = gate_bed.browser("alice")
    callback = callback_of(alice, session)
    query = parse_qs(urlsplit(callback).query)
    alice.client.get(callback, headers=NAVIGATION)
    alice.client.get(callback + "&x=1", headers=NAVIGATION)
    proof = alice.xsrf_for(session.prefix)
    for path in ("api/close", "data/close", "api/wicked/500"):
        alice.fetch("GET", f"{session.prefix}{path}?_xsrf={quote(proof)}")
        raw_request(session.direct, session.prefix + path, bearer(alices_token))
    alice.fetch("POST", session.prefix + "api/x", xsrf="wrong" * 8)
    raw_request(session.direct, session.prefix + "api/x", {"Authorization": "token gärbage123"})
    expected = f"web: GET {session.prefix}api/close answered"
    eventually(lambda: expected in session.logs(), 20, "the log is written")
    logs = session.logs()
    values = [c.value for c in alice.client.cookies.jar if c.value and len(c.value) > 8]
    secrets_used = [
        alices_token,
        *query["code"],
        *query["state"],
        *values,
        session.gate_environment()["JUPYTERHUB_API_TOKEN"],
        "wrongwrong",
        "rbage123",
    ]
    assert [secret for secret in secrets_used if secret in logs] == []


# -- Streams and sizes -------------------


def test_events_arrive_when_they_are_sent(
    gate_bed: GateBed, session: Session, alice: Browser
) -> None:
    """The next one is sent when this one has arrived: held back, none of them ever would."""
    query = f"?wait=1&_xsrf={quote(alice.xsrf_for(session.prefix))}"
    lines = []
    with (
        session.socket("api") as api,
        alice.client.stream("GET", f"{session.prefix}api/jobs/events{query}", headers=FETCH) as got,
    ):
        for line in filter(None, got.iter_lines()):
            lines.append(line)
            api.put("/internal/state", json={"taken": len(lines)})
    assert lines == ["data: 0", "data: 1", "data: 2"]


def test_a_websocket_carries_messages_both_ways(session: Session, alice: Browser) -> None:
    where = urlsplit(session.direct)
    cookies = alice.cookie_header(session.prefix)
    lines = {**WEBSOCKET, "Host": where.netloc, "Origin": session.direct, "Cookie": cookies}
    head = f"GET {session.prefix}api/ws HTTP/1.1\r\n"
    head += "".join(f"{name}: {value}\r\n" for name, value in lines.items()) + "\r\n"
    with socket.create_connection((where.hostname or "", where.port or 0), 10) as connection:
        connection.sendall(head.encode())
        received = b""
        while b"\r\n\r\n" not in received:
            received += connection.recv(4096)
        assert received.startswith(b"HTTP/1.1 101")
        connection.sendall(b"\x81\x82\x00\x00\x00\x00hi")
        frame = received.partition(b"\r\n\r\n")[2]
        while len(frame) < 4:
            frame += connection.recv(4096)
    assert frame == b"\x81\x02hi"


def test_large_files_pass_in_both_directions(session: Session, alice: Browser) -> None:
    for program in ("api", "data"):
        size = 0
        target = f"{session.prefix}{program}/download?mb=150"
        with alice.client.stream("GET", target, headers=NAVIGATION) as answer:
            for chunk in answer.iter_raw(1 << 20):
                size += len(chunk)
        assert size == 150 * 2**20
    content = (b"x" * 2**20 for _ in range(120))
    answer = alice.fetch(
        "PUT",
        session.prefix + "api/upload",
        content=content,
        headers={"Content-Length": str(120 * 2**20)},
    )
    assert answer.json() == {"size": 120 * 2**20}
    part = alice.fetch("GET", session.prefix + "data/part", headers={"Range": "bytes=2-4"})
    assert (part.status_code, part.text) == (206, "234")


# -- Names -------------------


def test_names_with_odd_characters_have_sessions_like_any_other(gate_bed: GateBed) -> None:
    for session in start_together(
        gate_bed, ("a@b.c", ""), ("über", ""), ('q"r', ""), ("$x {y};", "")
    ):
        person = gate_bed.browser(session.user)
        assert "THE PAGE" in person.navigate(f"{session.prefix}files?path=/x").text
        assert person.fetch("GET", session.prefix + "api/x").json()["path"] == "/x"
        assert raw_request(session.direct, session.prefix + "api/x").status == 401


# -- Starting -------------------


def test_the_hub_waits_until_api_answers(gate_bed: GateBed) -> None:
    start = time.monotonic()
    session = gate_bed.start("slow")
    assert time.monotonic() - start > 1.5
    with session.socket("api") as api:
        assert api.get("/internal/health").status_code == 204
    gate_bed.stop(session)


def test_a_session_whose_api_never_answers_does_not_start(gate_bed: GateBed) -> None:
    gate_bed.request_start("never")
    eventually(lambda: not gate_bed.server_model("never"), 20, "the start is given up")


# -- When others fail: last, as the hub is stopped -------------------


def test_a_program_that_does_not_answer_is_named(gate_bed: GateBed) -> None:
    session = gate_bed.start("gus")
    gus = gate_bed.browser("gus")
    gus.navigate(session.prefix)
    end(session, "services")
    for path, code in (("api/x", "api-down"), ("data/x", "dataserver-down")):
        answer = gus.fetch("GET", session.prefix + path)
        assert (answer.status_code, answer.json()["code"]) == (503, code)
        assert answer.headers["Content-Type"].startswith("application/problem+json")
        assert answer.headers["Content-Security-Policy"].startswith("sandbox;")
        assert raw_request(session.direct, session.prefix + path).status == 401
    end(session, "gate")
    for path in ("", "files", "api/x", "data/x", "assets/app-1a2b.js", "api", "oauth_callback"):
        for headers in (NAVIGATION, FETCH):
            answer = gus.client.get(session.prefix + path, headers=headers)
            assert answer.status_code == 503, path
            assert "The session cannot check who you are" in answer.text
            assert not INSIDE.search(answer.content)
    gate_bed.stop(session)


def end(session: Session, program: str) -> None:
    """Kill a program of this session, and wait until its sockets refuse."""
    os.kill(session.pids[program], signal.SIGKILL)
    name = "api" if program == "services" else program
    with session.socket(name) as client:

        def is_gone() -> bool:
            try:
                client.get("/internal/health")
            except httpx.TransportError:
                return True
            return False

        eventually(is_gone, 5, f"{program} is gone")


def test_while_the_hub_is_frozen_only_those_it_has_named_are_let_in(
    gate_bed: GateBed, started: Started, alices_token: str
) -> None:
    session = started.default
    target = session.prefix + "api/x"
    deleted, number = gate_bed.token("alice")
    assert raw_request(session.direct, target, bearer(deleted)).status == 200
    assert raw_request(session.direct, target, bearer(alices_token)).status == 200
    gate_bed.api("DELETE", f"/users/alice/tokens/{number}")
    time.sleep(CACHE_SECONDS + 0.5)
    assert raw_request(session.direct, target, bearer(deleted)).status == 401
    gate_bed.hub.send_signal(signal.SIGSTOP)
    try:
        time.sleep(CACHE_SECONDS + 0.5)
        expected = {alices_token: 200, secrets.token_hex(16): 503, deleted: 503}

        def ask(token: str) -> int:
            return raw_request(session.direct, target, bearer(token), seconds=60).status

        with ThreadPoolExecutor() as pool:
            assert dict(zip(expected, pool.map(ask, expected), strict=True)) == expected
        assert raw_request(session.direct, target).status == 401
    finally:
        gate_bed.hub.send_signal(signal.SIGCONT)
    eventually(
        lambda: raw_request(session.direct, target, bearer(deleted)).status == 401, 20, "recovered"
    )
