"""The demo's configuration with a caretaker that does not wait for a minute."""

from pathlib import Path

c = get_config()
load_subconfig(str(Path(__file__).resolve().parents[2] / "demo" / "jupyterhub_config.py"))

c.JupyterHub.log_level = "DEBUG"
c.JupyterHub.services[0]["command"][-1] = str(Path(__file__).resolve())
c.Caretaker.interval = 1
c.Caretaker.grace = 1
