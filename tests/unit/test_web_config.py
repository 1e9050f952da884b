"""nginx's configuration says what the environment says, and every location is closed."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from savu_web.configuration import quote, render
from savu_web.settings import ConfigurationError, Settings, from_environment

from tests.support.needs import needs_program

ENVIRONMENT = {
    "SESSION_PREFIX": "/user/ada/",
    "WEB_LISTEN": "8888",
    "WEB_HEALTH_LISTEN": "8889",
    "WEB_RUN_DIR": "/run/web",
    "GATE_UPSTREAM": "unix:/run/gate/gate.sock",
    "API_UPSTREAM": "unix:/run/api/api.sock",
    "DATASERVER_UPSTREAM": "127.0.0.1:5000",
    "FOREIGN_PROGRAMS": "",
}
PAGE = Path("/srv/page")

OPEN = {
    # asked by nginx itself
    "= /.gate/api",
    "= /.gate/data",
    "= /.gate/page",
    # explain a refusal
    "@login",
    "@login_needed",
    "@refused",
    "@forbidden",
    "@gate_down",
    "@gate_down_page",
    # before and after a login
    '= "/user/ada/oauth_callback"',
    '= "/user/ada/logout"',
    # asked by the hub until the session is ready
    '= "/user/ada/api"',
    # a request that was let in, and no answer
    "@api_down",
    "@api_slow",
    "@dataserver_down",
    "@dataserver_slow",
}
"""The only locations that do not ask the gate."""


def settings_from(**changes: str) -> Settings:
    return from_environment({**ENVIRONMENT, **changes}, PAGE)


def locations(text: str) -> dict[str, str]:
    """Name and body of each location of the session's server."""
    session = text.partition("# Health, one path a program")[0]
    found = re.findall(r"location ((?:[=^~]+ )?(?:\"(?:[^\"\\]|\\.)*\"|\S+)) \{", session)
    bodies = re.split(r"\n\s*location ", session)[1:]
    return dict(zip(found, bodies, strict=True))


def test_every_location_asks_the_gate_but_those_that_say_why_not() -> None:
    found = locations(render(settings_from()))
    assert len(found) > 20
    assert {name for name, body in found.items() if "auth_request off" in body} == OPEN


def test_the_gate_is_asked_by_default() -> None:
    server = render(settings_from()).partition("  server {")[2]
    assert "auth_request /.gate/api;" in server.partition("location")[0]


def test_a_location_without_the_gate_serves_neither_programs_nor_files() -> None:
    for name, body in locations(render(settings_from())).items():
        if name in OPEN:
            assert "alias" not in body, name
            assert "root " not in body, name
            assert not re.search(r"proxy_pass http://(api|dataserver)", body), name


def test_inner_locations_cannot_be_asked_from_outside() -> None:
    for name, body in locations(render(settings_from())).items():
        if name.startswith("= /.gate/"):
            assert "internal;" in body


@given(st.text(st.characters(min_codepoint=32, exclude_characters="\x7f", codec="utf-8")))
@settings(max_examples=200)
def test_quoting_keeps_any_text_one_token(text: str) -> None:
    quoted = quote(text)
    assert re.fullmatch(r'"(?:[^"\\]|\\\\|\\")*"', quoted, re.DOTALL)
    assert re.sub(r"\\(.)", r"\1", quoted[1:-1], flags=re.DOTALL) == text


@pytest.mark.parametrize(
    "user",
    ["ada", "a@b.c", "Über", 'q"r', "$x", "a b", "a;b{c}", "back\\slash", "${host}", "a'b", "日本"],
)
def test_nginx_accepts_the_configuration_for_every_name(tmp_path: Path, user: str) -> None:
    nginx = needs_program("nginx")
    configured = settings_from(
        SESSION_PREFIX=f"/user/{user}/s/",
        WEB_LISTEN="127.0.0.1:18999",
        WEB_HEALTH_LISTEN=f"unix:{tmp_path}/h",
        WEB_RUN_DIR=str(tmp_path),
    )
    path = tmp_path / "nginx.conf"
    path.write_text(render(configured))
    answer = subprocess.run(
        [nginx, "-t", "-e", "stderr", "-p", f"{tmp_path}/", "-c", str(path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "syntax is ok" in answer.stderr, answer.stderr


@pytest.mark.parametrize("name", sorted(ENVIRONMENT.keys() - {"FOREIGN_PROGRAMS"}))
def test_a_missing_variable_is_named(name: str) -> None:
    with pytest.raises(ConfigurationError, match=f"{name} is not set"):
        settings_from(**{name: ""})


def test_no_program_of_other_making_is_said_and_not_supposed() -> None:
    environment = {name: value for name, value in ENVIRONMENT.items() if name != "FOREIGN_PROGRAMS"}
    with pytest.raises(ConfigurationError, match="FOREIGN_PROGRAMS is not set"):
        from_environment(environment, Path("/page"))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SESSION_PREFIX", "/"),
        ("SESSION_PREFIX", "user/ada/"),
        ("SESSION_PREFIX", "/user/ada"),
        ("SESSION_PREFIX", "/user//ada/"),
        ("SESSION_PREFIX", "/user/../ada/"),
        ("SESSION_PREFIX", "/user/a\nb/"),
        ("WEB_LISTEN", "unix:/tmp/x"),
        ("WEB_LISTEN", "0"),
        ("WEB_LISTEN", "8888 default_server"),
        ("WEB_HEALTH_LISTEN", "unix:relative"),
        ("WEB_HEALTH_LISTEN", "unix:/tmp/x; include /etc/passwd"),
        ("WEB_RUN_DIR", "relative"),
        ("WEB_RUN_DIR", "/run/$host"),
        ("GATE_UPSTREAM", "8888"),
        ("GATE_UPSTREAM", "unix:/run/a b"),
        ("API_UPSTREAM", "host:port"),
        ("DATASERVER_UPSTREAM", "http://host:1"),
    ],
)
def test_a_value_that_nginx_would_read_otherwise_is_refused(name: str, value: str) -> None:
    with pytest.raises(ConfigurationError, match=name):
        settings_from(**{name: value})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("WEB_LISTEN", "8888"),
        ("WEB_LISTEN", "127.0.0.1:8888"),
        ("WEB_LISTEN", "[::]:8888"),
        ("WEB_HEALTH_LISTEN", "unix:/run/web/health.sock"),
        ("API_UPSTREAM", "127.0.0.1:5000"),
    ],
)
def test_every_form_of_address_is_taken(name: str, value: str) -> None:
    assert value in render(settings_from(**{name: value}))
