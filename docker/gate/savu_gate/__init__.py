"""The gate of a session: nginx asks it, for every request, who the request is from.

The only program of a session that holds JupyterHub's token. It listens on a unix socket that only
nginx can reach, and sees a request's line and headers, never its body. Identity, scopes, OAuth
and the XSRF rule are JupyterHub's own code (``jupyterhub.services.auth``).
"""
