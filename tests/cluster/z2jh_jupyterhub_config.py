"""A hub as zero-to-jupyterhub configures it, on the machine of the development cluster."""

import json
import os

from tests.support.zero_to_jupyterhub import rendered

c = get_config()
c.merge(rendered(json.loads(os.environ["CHART_VALUES"])))

# In place of what the chart deploys: the proxy and the hub's address.
c.JupyterHub.bind_url = os.environ["DEMO_URL"]
# Pods reach the hub here, also after it was restarted.
c.JupyterHub.hub_bind_url = os.environ["HUB_URL"]
c.ConfigurableHTTPProxy.should_start = True
c.ConfigurableHTTPProxy.api_url = os.environ["DEMO_PROXY_API_URL"]
c.ConfigurableHTTPProxy.command = [os.environ["DEMO_NODE"], os.environ["DEMO_PROXY"]]
c.ConfigurableHTTPProxy.auth_token = os.environ["DEMO_PROXY_TOKEN"]
c.JupyterHub.cleanup_servers = True
c.KubeSpawner.namespace = os.environ["POD_NAMESPACE"]

# The directory of the tests, for log-in and look-up.
c.JupyterHub.authenticator_class = "savu-ldap"
c.Authenticator.allow_all = True
c.Authenticator.admin_users = {"hubadmin"}
c.LdapDirectory.servers = [os.environ["DEMO_LDAP_URL"]]
c.LdapDirectory.ca_file = os.environ["DEMO_LDAP_CA"]
