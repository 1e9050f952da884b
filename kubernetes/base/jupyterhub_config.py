"""The production configuration: LDAP login, a pod for each session, idle sessions culled.

For the deployment in ``kubernetes/base``, which mounts it. A site's own ``site_config.py`` is read
last, and replaces every value that is in capitals here. What is not here keeps its default: all
options are explained in docs/reference/configuration.md.
"""

import sys

from savu_spawner import hub_pages

c = get_config()

# -- The hub and its proxy ------------------------------------------------------------------------

# Where the hub listens in its pod, and how sessions and the proxy find it: by its service's name.
c.JupyterHub.hub_bind_url = "http://:8081"
c.JupyterHub.hub_connect_url = "http://hub:8081"
# The proxy is a deployment of its own: people stay connected while the hub restarts. The token
# that both know is in the environment, CONFIGPROXY_AUTH_TOKEN, from the Secret "proxy".
c.JupyterHub.proxy_class = "savu"
c.ConfigurableHTTPProxy.should_start = False
c.ConfigurableHTTPProxy.api_url = "http://proxy-api:8001"
# What a new pod of the hub finds again: who is logged in and which sessions run.
c.JupyterHub.db_url = "sqlite:////var/lib/jupyterhub/jupyterhub.sqlite"
c.JupyterHub.cookie_secret_file = "/var/lib/jupyterhub/cookie_secret"
# Sessions outlive an upgrade or a restart of the hub.
c.JupyterHub.cleanup_servers = False
# After logging in people see the control panel, and start a session when they want one.
c.JupyterHub.redirect_to_server = False
# Whoever starts a session sees at once how far it is.
c.JupyterHub.tornado_settings = {"slow_spawn_timeout": 0}
# How a session ended is on its user's next page.
c.JupyterHub.template_paths = [hub_pages.TEMPLATES]
c.JupyterHub.extra_handlers = hub_pages.HANDLERS

# -- Who may log in, and as whom their sessions run -----------------------------------------------

# The directory checks passwords, and says each session's user ID and groups.
c.JupyterHub.authenticator_class = "savu-ldap"
# Everybody whom the directory knows; who may have a session is for AccountPolicy to say.
c.Authenticator.allow_all = True
# They see and stop everybody's sessions; they do not enter them.
c.Authenticator.admin_users = {"HUB-ADMINISTRATOR"}
c.LdapDirectory.servers = ["ldaps://LDAP.FACILITY.EXAMPLE"]
c.LdapDirectory.user_base = "ou=people,dc=FACILITY,dc=EXAMPLE"
c.LdapDirectory.group_base = "ou=group,dc=FACILITY,dc=EXAMPLE"
c.AccountPolicy.refused_groups = ["FUNCTIONAL_ACCOUNTS"]
# Whom a refused user is told to ask.
c.AccountPolicy.support_contact = "HELPDESK@FACILITY.EXAMPLE"

# -- Sessions -------------------------------------------------------------------------------------

c.JupyterHub.spawner_class = "savu"
# One coherent set; where these may come from is bounded by the ConfigMap "session-bounds".
c.SavuSpawner.image = "REGISTRY.FACILITY.EXAMPLE/savu-api:VERSION"
c.SavuSpawner.web_image = "REGISTRY.FACILITY.EXAMPLE/savu-web:VERSION"
c.SavuSpawner.gate_image = "REGISTRY.FACILITY.EXAMPLE/savu-gate:VERSION"
c.SavuSpawner.dataserver_image = "REGISTRY.FACILITY.EXAMPLE/savu-dataserver:VERSION"
# The facility's data at the facility's own path. The claim is bounded by "session-bounds" too.
c.SavuSpawner.data_volumes = [
    {
        "mountPath": "/DATA",
        "volume": {"persistentVolumeClaim": {"claimName": "DATA-CLAIM"}},
        # What the machine's automounter adds later is seen in running sessions.
        "mountPropagation": "HostToContainer",
    },
]
# "My visits" are the user's groups, at this path.
c.SavuSpawner.visit_path_template = "/DATA/{instrument}/data/{year}/{visit}"

# -- Services -------------------------------------------------------------------------------------

c.JupyterHub.services = [
    {
        # Stops sessions that neither a person nor a job has used for a day.
        "name": "idle-culler",
        "command": [
            sys.executable,
            "-m",
            "jupyterhub_idle_culler",
            "--timeout=86400",
            # In the hub's own pod: no way round by the service.
            "--url=http://127.0.0.1:8081/hub/api",
        ],
    },
    {
        # Removes pods that a killed hub left behind.
        "name": "caretaker",
        "command": [
            sys.executable,
            "-m",
            "savu_spawner.caretaker",
            "-f",
            "/etc/jupyterhub/jupyterhub_config.py",
        ],
    },
]
# Each with no more than it needs.
c.JupyterHub.load_roles = [
    {
        "name": "idle-culler",
        "services": ["idle-culler"],
        "scopes": ["list:users", "read:users:activity", "read:servers", "delete:servers"],
    },
    {
        "name": "caretaker",
        "services": ["caretaker"],
        "scopes": ["list:users", "read:servers"],
    },
]

# -- The site's own values ------------------------------------------------------------------------

# Mounted beside this file. JupyterHub says nothing if it is missing; the hub then lets nobody in,
# since no directory has the address above.
load_subconfig("/etc/jupyterhub/site_config.py")
