"""A service of JupyterHub that removes what a killed hub or supervisor left behind.

After a restart of the hub with nobody's session running, no code of a spawner runs at all, so the
spawner cannot tidy up after itself. In ``jupyterhub_config.py``::

    c.JupyterHub.services = [
        {"name": "caretaker", "command": ["python", "-m", "savu_spawner.caretaker", "-f", CONFIG]}
    ]
    c.JupyterHub.load_roles = [
        {"name": "caretaker", "services": ["caretaker"], "scopes": ["list:users", "read:servers"]}
    ]

``judgement`` decides, and is pure; ``local`` and ``pods`` look and remove; ``hub`` asks what
JupyterHub knows; ``application`` is the program.
"""
