"""What the programs of a session and whoever starts them agree on.

The programs never import this package: values reach them by environment variables, and
``tests/unit/test_contract.py`` compares what they read and where they listen with this page.

========== ================================================== =============== =====================
program    does                                               data volumes    runs as
========== ================================================== =============== =====================
web        nginx: the page, and a proxy to the others         none            an account of its own
gate       asks JupyterHub who each request is from           none            an account of its own
api        finds data, keeps process lists, runs jobs         read and write  the user
dataserver metadata and slices of HDF5 files                  read only       the user
========== ================================================== =============== =====================
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal, get_args

Program = Literal["web", "gate", "api", "dataserver"]
PROGRAMS: Final[tuple[Program, ...]] = get_args(Program)
"""Container names, folders in ``docker/``, modules in ``pod/``; ``web``, with the port, first."""

USER_PROGRAMS: Final[tuple[Program, ...]] = ("api", "dataserver")
"""Run with the user's uid, gid and groups; the others as an account that is nobody's."""

DESCRIPTIONS: Final[Mapping[str, str]] = {
    "web": "the page",
    "gate": "the login gate",
    "api": "the processing service",
    "dataserver": "the data server",
}
"""What each program is to a scientist."""

PACKAGES: Final[dict[Program, str]] = {program: f"savu_{program}" for program in PROGRAMS}
"""Each program starts as ``python -m savu_<program>``."""

# -- Ports (pods) ---------------------------------------------------------------------------------

WEB_PORT: Final = 8888
"""Where the session is served; KubeSpawner and usual network policies call it ``notebook-port``."""

HEALTH_PORT: Final = 8889
"""For the kubelet's probes only: one path a program (``/web``, ``/gate``, …), without a body."""

# -- Sockets --------------------------------------------------------------------------------------

SOCKET_ENDS: Final[dict[Program, frozenset[Program]]] = {
    "gate": frozenset({"web", "gate"}),
    "api": frozenset({"web", "gate", "api"}),
    "dataserver": frozenset({"web", "dataserver"}),
}
"""Who may enter the directory of each program's socket ``<directory>/<program>.sock``.

One directory for an edge: ``api`` runs what users write, and in a shared directory could put its
own socket in the gate's place.
"""

SOCKET_PATH_LIMIT: Final = 100
"""Bytes. Linux refuses a path of more than 107 in ``sun_path``."""

# -- Paths every program answers on its socket, and nobody outside the session reaches ------------

HEALTH_PATH: Final = "/internal/health"
"""204 once the program can do its work, else 503; never a body."""

ACTIVITY_PATH: Final = "/internal/activity"
"""``api`` only: ``{"busy": bool, "last_user_event": ISO 8601 or null}``, asked by the gate."""

# -- Below the session's prefix -------------------------------------------------------------------

API_PREFIX: Final = "api/"
DATA_PREFIX: Final = "data/"
READY_PATH: Final = "api"
"""What JupyterHub polls after a start: 503 until the programs answer, then 401."""

CALLBACK_PATH: Final = "oauth_callback"
LOGOUT_PATH: Final = "logout"

RESERVED_SERVER_NAMES: Final = frozenset(
    {"api", "data", "assets", "oauth_callback", "logout", "internal", "socket.io"}
)
"""A named server of such a name would answer in place of the default server's own path."""

# -- Links: sessions without a hub ----------------------------------------------------------------

LINK_NAME: Final = "savu-link"
PASS_NAME: Final = "savu-pass"
"""Names in the values that are signed with a session's key: ``CALLBACK_PATH?link=…`` lets one
browser in, ``Authorization: Bearer …`` a script."""

LINK_SECONDS: Final = 120
"""How long a link is good for."""

LINK_KEY_BYTES: Final = 32

# -- Environment ----------------------------------------------------------------------------------

HUB_VARIABLES: Final = ("JUPYTERHUB_", "JPY_")
"""Prefixes of what JupyterHub's ``get_env`` adds, its token among it: for ``gate`` and no other."""

ENVIRONMENT: Final[dict[Program, dict[str, str]]] = {
    "web": {
        "SESSION_PREFIX": "decoded URL path of the session, with a slash at both ends: /user/ada/",
        "WEB_LISTEN": "where the session is served: a port, or address:port",
        "WEB_HEALTH_LISTEN": "where health is served: a port, address:port, or unix:PATH",
        "WEB_RUN_DIR": "writable folder for nginx's configuration, pid and temporary files",
        "GATE_UPSTREAM": "unix:PATH, or host:port",
        "API_UPSTREAM": "unix:PATH, or host:port",
        "DATASERVER_UPSTREAM": "unix:PATH, or host:port",
        "FOREIGN_PROGRAMS": "as gate has it: well if they answer anything, and socket.io for api",
    },
    "gate": {
        "GATE_LISTEN": "unix:PATH, or address:port",
        "API_UPSTREAM": "unix:PATH, or host:port: asked for readiness and activity",
        "FOREIGN_PROGRAMS": "those of api and dataserver that are not ours, separated by ','",
        "SESSION_PREFIX": "as web has it; used where no hub says it",
        "SESSION_USER": "login name; used where no hub says it",
        "GATE_LINK_KEY_FILE": "file with the key of links where there is no hub; else empty",
        "GATE_ADMIT": "owner, or granted: whoever JupyterHub grants access",
        "GATE_CACHE_SECONDS": "seconds an answer of the hub is kept: a revocation's delay",
    },
    "api": {
        "API_LISTEN": "unix:PATH, or address:port",
        "API_STATE_DIR": "the user's own folder (0700) that outlives the session: the list of jobs",
        "DATA_ROOTS": "absolute paths, separated by ':'; nothing outside is read or written",
        "VISIT_PATH_TEMPLATE": "a visit's folder: /dls/{instrument}/data/{year}/{visit}, or empty",
        "SESSION_USER": "login name",
        "SESSION_DISPLAY_NAME": "the person's name as shown",
        "SESSION_SERVER_NAME": "JupyterHub's server name; empty for the default server",
        "SESSION_GROUPS": "name=gid,…: groups, the primary first; names percent-encoded",
        "HUB_URL": "where the control panel is, ends with a slash: /hub/; empty without a hub",
        "SUPPORT_CONTACT": "whom users ask",
        "ENGINES": "engines offered, separated by ','; the first is the default",
        "SAVU_PYTHON": "the interpreter that has Savu installed; empty if none has",
        "SAVU_CATALOGUE": "Savu's plugin catalogue as exported by that interpreter; empty if none",
        "HOME": "writable",
        "TMPDIR": "writable",
        "NUMBA_CACHE_DIR": "writable, the user's own",
    },
    "dataserver": {
        "DATASERVER_LISTEN": "unix:PATH, or address:port",
        "DATA_ROOTS": "absolute paths, separated by ':'; nothing outside is read",
        "DATASERVER_MAX_BYTES": "decoded bytes above which a request is refused with 413",
        "HOME": "writable",
        "TMPDIR": "writable",
    },
}
"""Every variable that a program reads, and what it means. All are set, if only to nothing."""

UMASK: Final = 0o002
"""What a session writes, the visit's other members can open and replace."""
