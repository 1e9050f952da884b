"""Everything that several parts rely on is what ``savu_spawner.contract`` says.

Each check is a function from a text or a value to what is wrong with it, and is shown to find the
mistake that it is there for.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import savu_api.__main__
import savu_api.settings
import savu_dataserver.settings
import savu_gate.settings
import savu_web.settings

from savu_spawner import contract
from savu_spawner.contract import ENVIRONMENT, PROGRAMS, USER_PROGRAMS, Program
from savu_spawner.environment import SessionSettings, environments
from savu_spawner.pod import ContainerSettings, DataVolume, Notebook, PodSettings, session_pod
from savu_spawner.pod.volumes import places
from tests.support.identities import ADA

TOP = Path(__file__).parents[2]

SESSION = SessionSettings(
    prefix="/user/ada/",
    server_name="",
    hub_url="/hub/",
    support_contact="the helpdesk",
    data_roots=("/dls",),
)
SETTINGS = PodSettings(
    containers={program: ContainerSettings(f"savu-{program}") for program in PROGRAMS},
    data_volumes=(DataVolume("/dls", {"persistentVolumeClaim": {"claimName": "dls"}}),),
    service_uid=64180,
    service_gid=64180,
)
HUB_ENVIRONMENT = {
    "JUPYTERHUB_API_TOKEN": "secret",
    "JUPYTERHUB_API_URL": "http://hub:8081/hub/api",
    "JUPYTERHUB_ACTIVITY_URL": "http://hub:8081/hub/api/users/ada/activity",
    "JUPYTERHUB_CLIENT_ID": "jupyterhub-user-ada",
    "JUPYTERHUB_OAUTH_ACCESS_SCOPES": '["access:servers!server=ada/"]',
    "JUPYTERHUB_SERVICE_PREFIX": "/user/ada/",
    "JUPYTERHUB_USER": "ada",
}

# -- Environment: what the programs read ----------------------------------------------------------

READERS: Mapping[Program, tuple[Callable[[Mapping[str, str]], Any], type[Exception]]] = {
    "web": (
        lambda environment: savu_web.settings.from_environment(environment, Path("/page")),
        savu_web.settings.ConfigurationError,
    ),
    "gate": (savu_gate.settings.from_environment, savu_gate.settings.ConfigurationError),
    "api": (savu_api.settings.from_environment, savu_api.settings.ConfigurationError),
    "dataserver": (
        savu_dataserver.settings.from_environment,
        savu_dataserver.settings.ConfigurationError,
    ),
}
FOR_LIBRARIES = {"HOME", "TMPDIR", "NUMBA_CACHE_DIR"}
"""Not read by a program itself, or only to see that they are there."""


class Watched(dict[str, str]):
    """An environment that remembers which variables were looked at."""

    def __init__(self, variables: Mapping[str, str]) -> None:
        super().__init__(variables)
        self.read: set[str] = set()

    def __getitem__(self, name: str) -> str:
        self.read.add(name)
        return super().__getitem__(name)

    def get(self, name: str, default: Any = None) -> Any:
        self.read.add(name)
        return super().get(name, default)

    def __contains__(self, name: object) -> bool:
        self.read.add(str(name))
        return super().__contains__(name)


def environment_of(program: Program) -> dict[str, str]:
    made = environments(ADA, SESSION, places(SETTINGS, contract.HEALTH_PORT))[program]
    return made | HUB_ENVIRONMENT if program == "gate" else dict(made)


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_program_starts_with_its_environment_and_reads_nothing_else(program: Program) -> None:
    environment = Watched(environment_of(program))
    READERS[program][0](environment)
    ours = {name for name in environment.read if not name.startswith(contract.HUB_VARIABLES)}
    assert ours <= set(ENVIRONMENT[program]), "read, and not in the contract"
    assert set(ENVIRONMENT[program]) - ours <= FOR_LIBRARIES, "in the contract, and never read"
    if program != "gate":
        assert ours == environment.read, "only the gate may look at the hub's variables"


@pytest.mark.parametrize(
    ("program", "name"),
    [
        (program, name)
        for program in PROGRAMS
        for name in ENVIRONMENT[program]
        if (program, name) not in {("dataserver", "HOME"), ("dataserver", "TMPDIR")}
    ],
)
def test_a_missing_variable_is_named(program: Program, name: str) -> None:
    environment = environment_of(program)
    del environment[name]
    reader, error = READERS[program]
    with pytest.raises(error, match=name):
        reader(environment)


def variables_read_elsewhere(source: str) -> set[str]:
    """Names given to ``os.environ`` or ``os.getenv`` in a module."""
    names = set()
    for node in ast.walk(ast.parse(source)):
        text = ast.unparse(node) if isinstance(node, (ast.Call, ast.Subscript)) else ""
        found = re.match(
            r"os\.(?:environ\.(?:get|pop|setdefault)\(|environ\[|getenv\()'(\w+)'", text
        )
        if found:
            names.add(found[1])
    return names


def test_no_module_reads_a_variable_past_the_contract() -> None:
    general = {"PATH", "LANG", "XDG_CACHE_HOME"}
    # A switch for tests and for tuning by hand, with a default.
    general |= {"SAVU_BUILTIN_BLOCK_BYTES"}
    for program in PROGRAMS:
        for path in sorted((TOP / "docker" / program).glob("savu_*/**/*.py")):
            past = variables_read_elsewhere(path.read_text()) - general - set(ENVIRONMENT[program])
            assert not past, f"{path} reads {past}"


def test_a_variable_read_past_the_contract_would_be_found() -> None:
    source = "import os\na = os.environ.get('A')\nb = os.environ['B']\nc = os.getenv('C', '')\n"
    assert variables_read_elsewhere(source) == {"A", "B", "C"}


# -- The pod --------------------------------------------------------------------------------------


def the_pod() -> dict[str, Any]:
    empty = Notebook(
        pod={"metadata": {}, "spec": {"securityContext": {}, "containers": [], "volumes": []}},
        hub_variables=[{"name": name, "value": value} for name, value in HUB_ENVIRONMENT.items()],
        variables=[],
        resources={},
        volume_mounts=[],
        security={},
        other_settings={},
        not_applied=(),
    )
    return session_pod(ADA, SESSION, SETTINGS, empty)


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_container_has_the_contracts_variables(program: Program) -> None:
    (container,) = [c for c in the_pod()["spec"]["containers"] if c["name"] == program]
    names = {variable["name"] for variable in container["env"]}
    extra = {"PUID", "PGID"} if program in USER_PROGRAMS else set()
    if program == "gate":
        extra = set(HUB_ENVIRONMENT)
    assert names == set(ENVIRONMENT[program]) | extra
    # A list with a name twice is accepted by Kubernetes, and the last one counts.
    assert len(container["env"]) == len(names)


@pytest.mark.parametrize("program", contract.SOCKET_ENDS)
def test_a_socket_is_in_a_directory_that_is_mounted_where_it_is_used(program: Program) -> None:
    for container in the_pod()["spec"]["containers"]:
        folders = {mount["mountPath"] for mount in container["volumeMounts"]}
        for variable in container["env"]:
            path = str(variable["value"]).removeprefix("unix:")
            if path != variable["value"] and path.endswith(f"/{program}.sock"):
                assert container["name"] in contract.SOCKET_ENDS[program]
                assert str(Path(path).parent) in folders
                assert len(path.encode()) < contract.SOCKET_PATH_LIMIT


def test_ports_and_probes_are_the_contracts() -> None:
    web, *others = the_pod()["spec"]["containers"]
    assert {port["name"]: port["containerPort"] for port in web["ports"]} == {
        "notebook-port": contract.WEB_PORT,
        "health": contract.HEALTH_PORT,
    }
    assert all(container["ports"] == [] for container in others)
    for container in (web, *others):
        probe = container["readinessProbe"]["httpGet"]
        assert probe == {"path": f"/{container['name']}", "port": contract.HEALTH_PORT}


def test_the_api_writes_with_the_contracts_umask() -> None:
    assert savu_api.__main__.UMASK == contract.UMASK


# -- Dockerfiles ----------------------------------------------------------------------------------


def instructions(dockerfile: str) -> Iterator[tuple[str, str]]:
    """Instruction and its argument, continued lines joined, comments left out."""
    lines = [line for line in dockerfile.splitlines() if not line.lstrip().startswith("#")]
    for line in "\n".join(lines).replace("\\\n", " ").splitlines():
        if line.strip():
            name, _, argument = line.strip().partition(" ")
            yield name.upper(), " ".join(argument.split())


def wrong_with_image(dockerfile: str, entrypoint: str, ports: str) -> list[str]:
    """What in a Dockerfile is not as the contract and the rules for images want it."""
    everything = list(instructions(dockerfile))
    last = max(i for i, (name, _) in enumerate(everything) if name == "FROM")
    stages = [argument for name, argument in everything if name == "FROM"]
    final: dict[str, list[str]] = {}
    for name, argument in everything[last + 1 :]:
        final.setdefault(name, []).append(argument)
    wrong = []
    if final.get("ENTRYPOINT") != [entrypoint]:
        wrong.append(f"ENTRYPOINT is {final.get('ENTRYPOINT')}, not {entrypoint}")
    if final.get("EXPOSE", [""]) != [ports]:
        wrong.append(f"EXPOSE is {final.get('EXPOSE')}, not {ports}")
    if not re.fullmatch(r"[1-9]\d*:[1-9]\d*", final.get("USER", [""])[-1]):
        wrong.append("USER is not a number, or is root")
    if everything[0][0] != "ARG" or not all(re.match(r"\$\{\w*BASE\}", s) for s in stages):
        wrong.append("a base image is not a build argument")
    if len(stages) < 2:
        wrong.append("one stage: what builds is left in it")
    compiles = r"build-essential|gcc|g\+\+|\bmake\b|-dev\b|npm|\bpip3?\b[^&|;]*\binstall\b"
    if re.search(compiles, str(final.get("RUN"))):
        wrong.append("the final stage compiles or installs packages of a language")
    if not all(
        f"org.opencontainers.image.{label}=" in str(final.get("LABEL"))
        for label in ("title", "description", "licenses", "version", "revision")
    ):
        wrong.append("labels are missing")
    return wrong


IMAGES = {
    **{
        program: (
            f'["python", "-m", "{contract.PACKAGES[program]}"]',
            f"{contract.WEB_PORT} {contract.HEALTH_PORT}" if program == "web" else "",
        )
        for program in PROGRAMS
    },
    # Beside a site's own Savu: nothing of that image's Python, which may be first on PATH.
    "api": ('["/opt/savu/bin/python", "-IBu", "-m", "savu_api"]', ""),
    "hub": ('["jupyterhub"]', "8081"),
}


@pytest.mark.parametrize("image", IMAGES)
def test_an_image_starts_and_exposes_what_the_contract_says(image: str) -> None:
    dockerfile = (TOP / "docker" / image / "Dockerfile").read_text()
    assert wrong_with_image(dockerfile, *IMAGES[image]) == []


@pytest.mark.parametrize("image", IMAGES)
def test_an_image_copies_only_what_is_there(image: str) -> None:
    context = TOP if image == "hub" else TOP / "docker" / image
    for name, argument in instructions((TOP / "docker" / image / "Dockerfile").read_text()):
        if name == "COPY" and not argument.startswith("--from"):
            *sources, _ = argument.split()
            for source in sources:
                assert (context / source).exists(), f"{image} copies {source}"


@pytest.mark.parametrize(
    ("found", "put"),
    [
        ('savu_gate"]', 'savu_gates"]'),
        ("USER 64180:64180", "USER root"),
        ("USER 64180:64180", "USER 0:0"),
        ("USER 64180:64180", "USER 64180:64180\nEXPOSE 8000"),
        ("FROM ${BASE} AS final", "FROM python:3 AS final"),
        ("USER 64180:64180", "RUN apt-get install gcc\nUSER 64180:64180"),
        ("image.licenses", "image.license"),
    ],
    ids=["entry point", "user root", "user 0", "port", "base", "compiler", "label"],
)
def test_a_dockerfile_that_deviates_is_found(found: str, put: str) -> None:
    dockerfile = (TOP / "docker/gate/Dockerfile").read_text()
    assert found in dockerfile
    assert wrong_with_image(dockerfile.replace(found, put), *IMAGES["gate"])


# -- nginx ----------------------------------------------------------------------------------------

TEMPLATE = (TOP / "docker/web/savu_web/nginx/nginx.conf.template").read_text()


def wrong_with_routes(template: str) -> list[str]:
    """What in nginx's template is not as the contract says."""
    wrong = []
    below_prefix = set(re.findall(r"location [=^~]+ \{\{ url ([^ }]+) \}\}", template))
    for path in (
        contract.API_PREFIX,
        contract.DATA_PREFIX,
        contract.CALLBACK_PATH,
        contract.LOGOUT_PATH,
        contract.READY_PATH,
    ):
        if path not in below_prefix:
            wrong.append(f"no location for {path}")
    for path in below_prefix:
        if path.split("/")[0] not in contract.RESERVED_SERVER_NAMES:
            wrong.append(f"a server could be called {path}, which is routed")
    for prefix in (contract.API_PREFIX, contract.DATA_PREFIX):
        if f"{prefix}{contract.HEALTH_PATH.split('/')[1]}/" not in below_prefix:
            wrong.append(f"{prefix}internal/ is not closed")
    if "location = /web { return 204; }" not in template:
        wrong.append("no health of web")
    for program in PROGRAMS[1:]:
        asked = f"proxy_pass http://{program}{contract.HEALTH_PATH}; }}"
        (health,) = re.findall(rf"location = /{program} \{{.*", template) or [""]
        if asked not in health:
            wrong.append(f"no health of {program}")
    return wrong


def test_nginx_routes_what_the_contract_says() -> None:
    assert wrong_with_routes(TEMPLATE) == []


@pytest.mark.parametrize(
    ("found", "put"),
    [
        ("{{ url api/ }}", "{{ url service/ }}"),
        ("{{ url oauth_callback }}", "{{ url callback }}"),
        ("{{ url api/internal/ }}", "{{ url api/private/ }}"),
        (
            "location = {{ url logout }}",
            "location = {{ url files }} {} location = {{ url logout }}",
        ),
        ("http://dataserver/internal/health", "http://dataserver/health"),
        ("location = /gate {", "location = /keeper {"),
    ],
)
def test_a_route_that_deviates_is_found(found: str, put: str) -> None:
    assert found in TEMPLATE
    assert wrong_with_routes(TEMPLATE.replace(found, put))


@pytest.mark.parametrize(
    ("program", "path"),
    [
        ("gate", contract.HEALTH_PATH),
        ("gate", contract.ACTIVITY_PATH),
        ("api", contract.HEALTH_PATH),
        ("api", contract.ACTIVITY_PATH),
        ("dataserver", contract.HEALTH_PATH),
    ],
)
def test_a_program_names_the_internal_paths_as_the_contract_does(
    program: Program, path: str
) -> None:
    package = TOP / "docker" / program / contract.PACKAGES[program]
    constants = {
        node.value
        for module in package.glob("**/*.py")
        for node in ast.walk(ast.parse(module.read_text()))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    assert path in constants


# -- The page -------------------------------------------------------------------------------------

PAGE = TOP / "docker/web/page/src"
PAGE_PREFIXES = (contract.API_PREFIX, contract.DATA_PREFIX, "internal/", contract.LOGOUT_PATH)


def wrong_with_page(source: str) -> list[str]:
    """Addresses in the page that are absolute, or routed nowhere."""
    wrong = re.findall(r"""["'`]/(?:api|data|internal|logout)\b[^"'`]*""", source)
    for path in re.findall(r"""sessionUrl\(\s*["'`]([^"'`$]*)""", source):
        if not path.startswith(PAGE_PREFIXES):
            wrong.append(path)
    return wrong


def test_the_page_asks_only_for_relative_addresses_that_are_routed() -> None:
    modules = [p for p in PAGE.glob("**/*.ts*") if ".test." not in p.name and "test" not in p.parts]
    used = "".join(path.read_text() for path in modules)
    assert {"api", "data"} <= set(re.findall(r"""sessionUrl\(\s*["'`](\w+)/""", used))
    assert {str(p): wrong for p in modules if (wrong := wrong_with_page(p.read_text()))} == {}


@pytest.mark.parametrize("source", ['fetch("/api/jobs")', 'sessionUrl("files/x")', "`/data/info`"])
def test_an_address_of_the_page_that_deviates_is_found(source: str) -> None:
    assert wrong_with_page(source)


def test_the_page_is_built_for_a_prefix_that_it_does_not_know() -> None:
    assert 'base: "./"' in (PAGE.parent / "vite.config.ts").read_text()
