"""The production configuration: LDAP login, a pod for each session, idle sessions culled.

Every value in capitals is the facility's to replace; what is not here keeps its default. All
options are explained in docs/reference/configuration.md.
"""

import sys

from savu_spawner import hub_pages

c = get_config()

# -- The hub and its proxy ------------------------------------------------------------------------

c.JupyterHub.bind_url = "http://0.0.0.0:8000"
c.JupyterHub.hub_bind_url = "http://0.0.0.0:8081"
# Sessions outlive an upgrade or a restart of the hub.
c.JupyterHub.cleanup_servers = False
c.JupyterHub.proxy_class = "savu"
# After logging in people see the control panel, and start a session when they want one.
c.JupyterHub.redirect_to_server = False
c.JupyterHub.template_paths = [hub_pages.TEMPLATES]
c.JupyterHub.extra_handlers = hub_pages.HANDLERS

# -- Who may log in, and as whom their sessions run -----------------------------------------------

c.JupyterHub.authenticator_class = "savu-ldap"
c.Authenticator.allow_all = True
c.Authenticator.admin_users = {"HUB-ADMINISTRATOR"}
c.LdapDirectory.servers = ["ldaps://LDAP.FACILITY.EXAMPLE"]
c.LdapDirectory.user_base = "ou=people,dc=facility,dc=example"
c.LdapDirectory.group_base = "ou=group,dc=facility,dc=example"
c.AccountPolicy.refused_groups = ["functional_accounts"]
c.AccountPolicy.support_contact = "HELPDESK@FACILITY.EXAMPLE"

# -- Sessions -------------------------------------------------------------------------------------

c.JupyterHub.spawner_class = "savu"
c.SavuSpawner.image = "REGISTRY.FACILITY.EXAMPLE/savu-api:VERSION"
c.SavuSpawner.web_image = "REGISTRY.FACILITY.EXAMPLE/savu-web:VERSION"
c.SavuSpawner.gate_image = "REGISTRY.FACILITY.EXAMPLE/savu-gate:VERSION"
c.SavuSpawner.dataserver_image = "REGISTRY.FACILITY.EXAMPLE/savu-dataserver:VERSION"
c.SavuSpawner.data_volumes = [
    {
        "mountPath": "/dls",
        "volume": {"hostPath": {"path": "/dls", "type": "Directory"}},
        "mountPropagation": "HostToContainer",
    },
]
c.SavuSpawner.data_roots = ["/dls"]
c.SavuSpawner.visit_path_template = "/dls/{instrument}/data/{year}/{visit}"

# -- Services -------------------------------------------------------------------------------------

c.JupyterHub.services = [
    {
        "name": "idle-culler",
        "command": [sys.executable, "-m", "jupyterhub_idle_culler", "--timeout=86400"],
    },
]
c.JupyterHub.load_roles = [
    {
        "name": "idle-culler",
        "services": ["idle-culler"],
        "scopes": ["list:users", "read:users:activity", "read:servers", "delete:servers"],
    },
]
