"""JupyterHub sessions of Savu: pods or processes that run as the user the directory describes.

Entry points are in ``setup.cfg``; nothing is imported here, so that the supervisor of a local
session starts without the hub's libraries.
"""

from savu_spawner._version import __version__

__all__ = ["__version__"]
