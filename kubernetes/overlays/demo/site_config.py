"""The demo's own values, read at the end of the production configuration."""

from savu_spawner._version import __version__

c = get_config()

# Where kustomization.yaml gets the other images; `make kubernetes-demo` may replace both.
repository = "localhost"

c.JupyterHub.allow_named_servers = True

c.Authenticator.admin_users = {"hubadmin"}
c.LdapDirectory.servers = ["ldaps://directory"]
c.LdapDirectory.ca_file = "/etc/directory-ca/ca.crt"
c.LdapDirectory.user_base = "ou=people,dc=facility,dc=example"
c.LdapDirectory.group_base = "ou=groups,dc=facility,dc=example"
c.AccountPolicy.refused_groups = ["functional_accounts"]
c.AccountPolicy.support_contact = "the demo's administrator (helpdesk@facility.example)"

c.SavuSpawner.image = f"{repository}/savu-api:{__version__}"
c.SavuSpawner.web_image = f"{repository}/savu-web:{__version__}"
c.SavuSpawner.gate_image = f"{repository}/savu-gate:{__version__}"
c.SavuSpawner.dataserver_image = f"{repository}/savu-dataserver:{__version__}"
c.SavuSpawner.data_volumes = [
    {"mountPath": "/data", "volume": {"persistentVolumeClaim": {"claimName": "data"}}},
]
c.SavuSpawner.visit_path_template = "/data/{visit}"
# Several sessions fit on a laptop: the sample is small.
c.SavuSpawner.cpu_guarantee = 0.1
c.SavuSpawner.mem_guarantee = "256M"
c.SavuSpawner.mem_limit = "2G"
