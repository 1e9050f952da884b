"""The hub of tests/support/cluster_hub.py: outside of the cluster, its sessions inside.

``CLUSTER_HUB`` in the environment holds the values, as JSON.
"""

import json
import os
import sys

from savu_spawner import hub_pages

c = get_config()  # noqa: F821 - traitlets provides it
values = json.loads(os.environ["CLUSTER_HUB"])

# -- The hub, at an address that pods reach; its proxy runs on when the hub is killed --------------

c.JupyterHub.bind_url = values["url"]
c.JupyterHub.hub_bind_url = values["hub_url"]
c.JupyterHub.proxy_class = "savu"
c.ConfigurableHTTPProxy.should_start = False
c.ConfigurableHTTPProxy.api_url = values["proxy_api_url"]
c.ConfigurableHTTPProxy.auth_token = values["proxy_token"]
c.JupyterHub.db_url = f"sqlite:///{values['folder']}/jupyterhub.sqlite"
c.JupyterHub.cookie_secret_file = f"{values['folder']}/cookie_secret"
c.JupyterHub.cleanup_servers = False
c.JupyterHub.redirect_to_server = False
c.JupyterHub.allow_named_servers = True
c.JupyterHub.template_paths = [hub_pages.TEMPLATES]
c.JupyterHub.extra_handlers = hub_pages.HANDLERS
c.JupyterHub.tornado_settings = {"slow_spawn_timeout": 0}
c.JupyterHub.log_level = "DEBUG"

# -- The directory --------------------------------------------------------------------------------

c.JupyterHub.authenticator_class = "savu-ldap"
c.Authenticator.allow_all = True
c.Authenticator.admin_users = {"hubadmin"}
c.LdapDirectory.servers = [values["ldap_url"]]
c.LdapDirectory.ca_file = values["ldap_ca"]
c.LdapDirectory.user_base = "ou=people,dc=facility,dc=example"
c.LdapDirectory.group_base = "ou=groups,dc=facility,dc=example"
c.AccountPolicy.support_contact = "the helpdesk"

# -- Sessions -------------------------------------------------------------------------------------

c.JupyterHub.spawner_class = "savu"
c.KubeSpawner.namespace = values["namespace"]
c.SavuSpawner.hub_id = values["hub_id"]
c.SavuSpawner.image = values["images"]["api"]
c.SavuSpawner.web_image = values["images"]["web"]
c.SavuSpawner.gate_image = values["images"]["gate"]
c.SavuSpawner.dataserver_image = values["images"]["dataserver"]
c.SavuSpawner.image_pull_policy = "IfNotPresent"
# Gone with the pod; everybody may write there.
c.SavuSpawner.data_volumes = [{"mountPath": "/data", "volume": {"emptyDir": {}}}]
# Several sessions fit on a small machine.
c.SavuSpawner.cpu_guarantee = 0.01
c.SavuSpawner.mem_guarantee = "16M"
c.SavuSpawner.mem_limit = "1G"

# -- Services -------------------------------------------------------------------------------------

c.Caretaker.interval = 1
c.Caretaker.grace = 2
c.JupyterHub.services = [
    {
        "name": "caretaker",
        "command": [sys.executable, "-m", "savu_spawner.caretaker", "-f", values["config"]],
        "environment": {name: os.environ[name] for name in ("CLUSTER_HUB", "KUBECONFIG")},
    },
    {"name": "tests", "api_token": values["token"]},
]
c.JupyterHub.load_roles = [
    {"name": "caretaker", "services": ["caretaker"], "scopes": ["list:users", "read:servers"]},
    {"name": "tests", "services": ["tests"], "scopes": ["admin:users", "admin:servers"]},
]
