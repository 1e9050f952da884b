"""The images' programs start as a user that no image knows, with nothing to write but /tmp."""

from __future__ import annotations

import json
import os
import shutil
import socket
import ssl
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TypeVar

import httpx
import ldap3
import pytest

from demo.certificates import Authority
from demo.slapd import with_passwords
from savu_spawner.contract import HEALTH_PATH, PROGRAMS, USER_PROGRAMS, Program
from savu_spawner.environment import Places, SessionSettings, environments
from tests.images.conftest import Built
from tests.support import contained
from tests.support.catalogue import CATALOGUE
from tests.support.identities import ADA
from tests.support.needs import missing, needs_program

T = TypeVar("T")

TOP = Path(__file__).parents[2]

START_SECONDS = 120
"""A bound for a busy machine; the tests wait for the answer."""

USER = (71234, 71235)
NOBODY = (65111, 65112)

TOO_OLD = """#!/bin/sh
case "$*" in
    *export_catalogue.py*) exec cat /savu/catalogue.json ;;
    --version) echo Python 3.7.17 ;;
    *) echo "SyntaxError: this Python is 3.7" >&2; exit 1 ;;
esac
"""


class Runner:
    """Starts programs of images, and ends them with the test."""

    def __init__(self, scratch: Path, stack: ExitStack) -> None:
        self.scratch = scratch
        self._stack = stack

    def start(
        self,
        image: Built,
        environment: Mapping[str, str],
        *,
        argv: Sequence[str] = (),
        identity: tuple[int, int] = NOBODY,
        root: Path | None = None,
        mounts: Mapping[Path, str] | None = None,
    ) -> tuple[subprocess.Popen[bytes], Path]:
        """Start it as its image says; ``argv`` follows its entry point."""
        log = self.scratch / f"{image.name}.log"
        command = contained.command(
            root or image.files,
            [*image.configuration["Entrypoint"], *argv] if argv else image.argv,
            scratch=self.scratch,
            environment={**image.environment, **environment},
            uid=identity[0],
            gid=identity[1],
            mounts=mounts,
        )
        return self._stack.enter_context(contained.running(command, log)), log


@pytest.fixture
def runner() -> Iterator[Runner]:
    # Short, for socket paths; open, as everybody there is somebody else.
    with ExitStack() as stack, tempfile.TemporaryDirectory(prefix="images-") as name:
        scratch = Path(name)
        scratch.chmod(0o1777)
        yield Runner(scratch, stack)


def session_environments(web_port: int, health_port: int) -> dict[Program, dict[str, str]]:
    """As in a pod, with everything in /tmp; api gets its own Savu where there is one."""
    places = Places(
        sockets={
            program: f"unix:/tmp/{program}/{program}.sock"
            for program in PROGRAMS
            if program != "web"
        },
        web_listen=f"127.0.0.1:{web_port}",
        web_health_listen=f"127.0.0.1:{health_port}",
        web_run_dir="/tmp/web",
        state_dir="/tmp/home/state",
        home="/tmp/home",
        temporary="/tmp/home",
    )
    settings = SessionSettings(
        prefix="/user/ada/",
        server_name="",
        hub_url="/hub/",
        support_contact="the helpdesk",
        data_roots=("/tmp/data",),
        engines=("builtin", "savu"),
        savu_python="/usr/bin/python",
    )
    made = environments(ADA, settings, places)
    made["gate"] |= {
        "JUPYTERHUB_API_TOKEN": "secret",
        "JUPYTERHUB_API_URL": "http://127.0.0.1:1/hub/api",
        "JUPYTERHUB_ACTIVITY_URL": "http://127.0.0.1:1/hub/api/users/ada/activity",
        "JUPYTERHUB_CLIENT_ID": "jupyterhub-user-ada",
        "JUPYTERHUB_OAUTH_ACCESS_SCOPES": '["access:servers!server=ada/"]',
        "JUPYTERHUB_SERVICE_PREFIX": "/user/ada/",
        "JUPYTERHUB_USER": "ada",
    }
    return made


def folders(scratch: Path) -> None:
    """What a pod mounts: a folder for each program, writable to whoever runs it."""
    for name in (*PROGRAMS, "home", "data"):
        folder = scratch / name
        folder.mkdir()
        folder.chmod(0o777)
    os.chown(scratch / "home", *USER)


def test_the_four_programs_of_a_session_become_healthy(
    images: dict[str, Built], runner: Runner
) -> None:
    folders(runner.scratch)
    web_port, health_port = free_port(), free_port()
    environment = session_environments(web_port, health_port)
    started = {}
    for program in PROGRAMS:
        identity = USER if program in USER_PROGRAMS else NOBODY
        started[program] = runner.start(images[program], environment[program], identity=identity)
    with httpx.Client(base_url=f"http://127.0.0.1:{health_port}") as client:
        for program, (process, log) in started.items():
            answer = answered(client, f"/{program}", process, log)
            assert answer.content == b""
    with httpx.Client(base_url=f"http://127.0.0.1:{web_port}") as client:
        # Nobody is logged in: the gate answers, and not the page.
        assert client.get("/user/ada/").status_code in (302, 401, 503)


def test_the_hub_starts_with_its_plugin_behind_the_proxy(
    images: dict[str, Built], runner: Runner
) -> None:
    port, api_port, hub_port = free_port(), free_port(), free_port()
    (runner.scratch / "jupyterhub_config.py").write_text(f"""
from savu_spawner import hub_pages
c = get_config()
c.JupyterHub.bind_url = "http://127.0.0.1:{port}"
c.JupyterHub.hub_bind_url = "http://127.0.0.1:{hub_port}"
c.JupyterHub.db_url = "sqlite:////tmp/jupyterhub.sqlite"
c.JupyterHub.cookie_secret_file = "/tmp/cookie_secret"
c.JupyterHub.proxy_class = "savu"
c.ConfigurableHTTPProxy.should_start = False
c.ConfigurableHTTPProxy.api_url = "http://127.0.0.1:{api_port}"
c.JupyterHub.template_paths = [hub_pages.TEMPLATES]
c.JupyterHub.extra_handlers = hub_pages.HANDLERS
c.JupyterHub.spawner_class = "savu"
c.JupyterHub.authenticator_class = "savu-ldap"
c.Authenticator.allow_all = True
c.LdapDirectory.servers = ["ldaps://127.0.0.1:1"]
c.LdapDirectory.user_base = "ou=people,dc=facility,dc=example"
c.LdapDirectory.group_base = "ou=groups,dc=facility,dc=example"
c.SavuSpawner.image = "localhost/savu-api:0"
c.SavuSpawner.web_image = "localhost/savu-web:0"
c.SavuSpawner.gate_image = "localhost/savu-gate:0"
c.SavuSpawner.dataserver_image = "localhost/savu-dataserver:0"
c.SavuSpawner.data_volumes = [{{"mountPath": "/dls", "volume": {{"hostPath": {{"path": "/dls"}}}}}}]
c.SavuSpawner.data_roots = ["/dls"]
""")
    token = {"CONFIGPROXY_AUTH_TOKEN": "between-the-two"}
    proxy, proxy_log = runner.start(
        images["proxy"],
        token,
        argv=[
            *("--ip=127.0.0.1", f"--port={port}", "--api-ip=127.0.0.1", f"--api-port={api_port}"),
            f"--default-target=http://127.0.0.1:{hub_port}",
        ],
    )
    with httpx.Client(base_url=f"http://127.0.0.1:{port}") as client:
        answered(client, "/_chp_healthz", proxy, proxy_log)
        hub, log = runner.start(
            images["hub"],
            {**token, "HOME": "/tmp"},
            argv=["--config", "/tmp/jupyterhub_config.py"],
        )
        answered(client, "/hub/health", hub, log)
        assert "Username" in client.get("/hub/login").text


def test_the_directory_takes_accounts_and_certificate_as_they_are_mounted(
    images: dict[str, Built], runner: Runner
) -> None:
    mounted = runner.scratch / "secret"
    mounted.mkdir()
    authority = Authority.new()
    certificate, key = authority.certify(["127.0.0.1"])
    ldif = with_passwords((TOP / "demo" / "users.ldif").read_text(), "a password")
    for name, content in {
        "ca.crt": authority.certificate,
        "tls.crt": certificate,
        "tls.key": key,
        "users.ldif": ldif.encode(),
    }.items():
        (mounted / name).write_bytes(content)
        os.chown(mounted / name, 0, NOBODY[1])
        (mounted / name).chmod(0o440)
    database = runner.scratch / "database"
    database.mkdir()
    database.chmod(0o777)
    port = free_port()
    process, log = runner.start(
        images["directory"],
        {
            "DIRECTORY_MOUNTED": "/tmp/secret",
            "DIRECTORY_FOLDER": "/tmp/database",
            "DIRECTORY_LISTEN": f"ldaps://127.0.0.1:{port}/",
        },
    )
    listening(port, process, log)
    tls = ldap3.Tls(validate=ssl.CERT_REQUIRED, ca_certs_data=authority.certificate.decode())
    server = ldap3.Server("127.0.0.1", port=port, use_ssl=True, tls=tls)
    ada = "uid=ada,ou=people,dc=facility,dc=example"
    with ldap3.Connection(server, ada, "a password", raise_exceptions=True) as connection:
        connection.search(ada, "(objectClass=posixAccount)", attributes=["uidNumber"])
        assert connection.entries[0].uidNumber.value == 21001


def test_api_runs_beside_a_savu_whose_python_is_too_old_and_asks_it_as_a_program(
    images: dict[str, Built], runner: Runner
) -> None:
    """On an image that has nothing that ours could lean on: no C library, its own Python's
    variables, and a ``python`` that could not read our modules."""
    busybox = needs_program("busybox")
    if b"not a dynamic" not in subprocess.run(["ldd", busybox], capture_output=True).stderr:
        missing("needs a static busybox")
    with tempfile.TemporaryDirectory(prefix="site-") as name:
        site = Path(name)
        site.chmod(0o755)
        for folder in ("bin", "dev", "opt/savu", "proc", "savu", "tmp", "usr/bin"):
            (site / folder).mkdir(parents=True)
        shutil.copy(busybox, site / "bin" / "busybox")
        for applet in ("cat", "env", "sh"):
            (site / "bin" / applet).symlink_to("busybox")
        (site / "savu" / "catalogue.json").write_text(json.dumps(CATALOGUE))
        for program in ("python", "python3"):
            (site / "usr" / "bin" / program).write_text(TOO_OLD)
            (site / "usr" / "bin" / program).chmod(0o755)

        folders(runner.scratch)
        environment = session_environments(free_port(), free_port())["api"] | {
            "PATH": "/usr/bin:/bin",
            "PYTHONPATH": "/savu/modules",
            "PYTHONHOME": "/savu",
            "LD_LIBRARY_PATH": "/savu/lib",
        }
        process, log = runner.start(
            images["api"],
            environment,
            identity=USER,
            root=site,
            mounts={images["api"].files / "opt/savu": "/opt/savu"},
        )
        transport = httpx.HTTPTransport(uds=str(runner.scratch / "api" / "api.sock"))
        with httpx.Client(transport=transport, base_url="http://api", timeout=60) as client:
            answered(client, HEALTH_PATH, process, log)
            engines = {
                engine["name"]: engine for engine in client.get("/session").json()["engines"]
            }
        assert engines["builtin"]["available"], engines
        assert engines["savu"]["available"], engines
        assert engines["savu"]["version"] == CATALOGUE["version"]


# -- Waiting --------------------------------------------------------------------------------------


def answered(
    client: httpx.Client, path: str, process: subprocess.Popen[bytes], log: Path
) -> httpx.Response:
    """The first answer that is a success."""

    def ask() -> httpx.Response | None:
        try:
            answer = client.get(path)
        except httpx.TransportError:
            return None
        return answer if answer.is_success else None

    return awaited(ask, f"answered {path}", process, log)


def listening(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    def connect() -> bool:
        with socket.socket() as client:
            return client.connect_ex(("127.0.0.1", port)) == 0

    awaited(connect, f"listened on port {port}", process, log)


def awaited(
    ask: Callable[[], T | None], what: str, process: subprocess.Popen[bytes], log: Path
) -> T:
    """What ``ask`` returns once that is true; fails with what the program said if it ends."""
    deadline = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        if found := ask():
            return found
        time.sleep(0.05)
    ended = "ended" if process.poll() is not None else f"ran for {START_SECONDS} s"
    said = log.read_text(errors="replace")[-3000:]
    pytest.fail(f"{log.stem} {ended} and never {what}:\n{said}", pytrace=False)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])
