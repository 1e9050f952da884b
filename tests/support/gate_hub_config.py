# JupyterHub for the tests of the gate: anybody logs in, sessions are TrioSpawner's.
import os
from pathlib import Path

folder = Path(os.environ["BED_FOLDER"])
port, hub_port, proxy_port = (int(text) for text in os.environ["BED_PORTS"].split(","))

c = get_config()  # noqa: F821 - traitlets provides it
c.JupyterHub.bind_url = f"http://127.0.0.1:{port}"
c.JupyterHub.hub_bind_url = f"http://127.0.0.1:{hub_port}"
c.JupyterHub.db_url = f"sqlite:///{folder}/hub.sqlite"
c.JupyterHub.cookie_secret = b"t" * 32
c.JupyterHub.log_level = "WARN"
c.JupyterHub.allow_named_servers = True
c.JupyterHub.concurrent_spawn_limit = 20
c.JupyterHub.authenticator_class = "dummy"
c.JupyterHub.tornado_settings = {"slow_spawn_timeout": 0}
c.ConfigurableHTTPProxy.command = os.environ["BED_PROXY"].split(" ")
c.ConfigurableHTTPProxy.api_url = f"http://127.0.0.1:{proxy_port}"
c.ConfigurableHTTPProxy.pid_file = f"{folder}/proxy.pid"
c.Authenticator.allow_all = True
c.Authenticator.any_allow_config = True
c.Authenticator.admin_users = {"admin"}

c.JupyterHub.spawner_class = "tests.support.trio_spawner.TrioSpawner"
c.TrioSpawner.sessions = str(folder)
c.TrioSpawner.page = f"{folder}/page"
c.TrioSpawner.admit = {"alice": "granted"}
c.TrioSpawner.delays = {"slow": 1.5, "never": 3600}
c.TrioSpawner.http_timeouts = {"never": 3}
c.Spawner.http_timeout = 120

c.JupyterHub.load_groups = {"crew": {"users": ["alice"]}}
c.JupyterHub.services = [
    {"name": "chief", "api_token": os.environ["BED_CHIEF_TOKEN"]},
    {"name": "robot", "api_token": os.environ["BED_ROBOT_TOKEN"]},
]
c.JupyterHub.load_roles = [
    {
        "name": "chief",
        "scopes": [
            "admin:users",
            "admin:servers",
            "tokens",
            "shares",
            "groups",
            "read:users:name",
            "read:users:activity",
        ],
        "services": ["chief"],
    },
    {"name": "robot", "scopes": ["access:servers!user=alice"], "services": ["robot"]},
    {"name": "crew-support", "scopes": ["access:servers!group=crew"], "users": ["dora"]},
]
