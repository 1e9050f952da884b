"""The embedded default: LDAP login, sessions as processes, everything on loopback.

Read by JupyterHub as ``python -m demo`` starts it, which sets the DEMO_* variables.
"""

import os
import sys
from pathlib import Path

from savu_spawner import hub_pages

c = get_config()
folder = Path(os.environ["DEMO_DIR"])

# -- The hub and its proxy, reachable from this machine only ---------------------------------------

c.JupyterHub.bind_url = os.environ["DEMO_URL"]
c.JupyterHub.hub_bind_url = os.environ["DEMO_HUB_URL"]
c.JupyterHub.proxy_class = "savu"
c.ConfigurableHTTPProxy.api_url = os.environ["DEMO_PROXY_API_URL"]
c.ConfigurableHTTPProxy.command = [os.environ["DEMO_NODE"], os.environ["DEMO_PROXY"]]
c.ConfigurableHTTPProxy.auth_token = os.environ["DEMO_PROXY_TOKEN"]
c.ConfigurableHTTPProxy.pid_file = str(folder / "hub" / "proxy.pid")
c.JupyterHub.db_url = f"sqlite:///{folder}/hub/jupyterhub.sqlite"
c.JupyterHub.cookie_secret_file = str(folder / "hub" / "cookie_secret")
c.JupyterHub.template_paths = [hub_pages.TEMPLATES]
c.JupyterHub.extra_handlers = hub_pages.HANDLERS
c.JupyterHub.allow_named_servers = True
# After logging in people see the control panel, and start a session when they want one.
c.JupyterHub.redirect_to_server = False
c.JupyterHub.cleanup_servers = os.environ["DEMO_CLEANUP"] == "1"
# A start takes a second or two: the progress page is shown, not waited past.
c.JupyterHub.tornado_settings = {"slow_spawn_timeout": 0}

# -- Who may log in: the directory decides ---------------------------------------------------------

c.JupyterHub.authenticator_class = "savu-ldap"
c.Authenticator.allow_all = True
c.Authenticator.admin_users = {"hubadmin"}
c.LdapDirectory.servers = [os.environ["DEMO_LDAP_URL"]]
c.LdapDirectory.ca_file = os.environ["DEMO_LDAP_CA"]
c.LdapDirectory.user_base = "ou=people,dc=facility,dc=example"
c.LdapDirectory.group_base = "ou=groups,dc=facility,dc=example"
c.AccountPolicy.refused_groups = ["functional_accounts"]
c.AccountPolicy.support_contact = "the demo's administrator (helpdesk@facility.example)"

# -- Sessions --------------------------------------------------------------------------------------

c.JupyterHub.spawner_class = "savu-local"
c.LocalSavuSpawner.runtime_dir = os.environ["DEMO_RUNTIME_DIR"]
c.LocalSavuSpawner.state_dir = str(folder / "state")
c.LocalSavuSpawner.log_dir = str(folder / "logs")
c.LocalSavuSpawner.data_roots = [str(folder / "data")]
c.LocalSavuSpawner.visit_path_template = str(folder / "data" / "{visit}")
# Numbers that no account of the machine has: nothing is added to its list of users.
c.LocalSavuSpawner.service_account = "64180:64180"
c.LocalSavuSpawner.allow_shared_identity = os.geteuid() != 0

# -- Leftovers of a killed hub ---------------------------------------------------------------------

c.JupyterHub.services = [
    {
        "name": "caretaker",
        "command": [
            sys.executable,
            "-m",
            "savu_spawner.caretaker",
            "-f",
            str(Path(__file__).resolve()),
        ],
        "environment": {
            name: value for name, value in os.environ.items() if name.startswith("DEMO_")
        },
    }
]
c.JupyterHub.load_roles = [
    {"name": "caretaker", "services": ["caretaker"], "scopes": ["list:users", "read:servers"]}
]
