"""The project's images, where a test needs them in the development cluster."""

from __future__ import annotations

from dev.cluster import Cluster
from savu_spawner._version import __version__
from tests.support.needs import missing

NAMES = ("hub", "proxy", "directory", "web", "gate", "api", "dataserver")


def needs_images(driver: Cluster | None) -> None:
    """Skip, or fail under CI, if `make images` has not loaded them; somebody's own cluster is
    believed to have them."""
    if driver is None:
        return
    wanted = {f"localhost/savu-{name}:{__version__}" for name in NAMES}
    if lacking := wanted - driver.images():
        missing(f"needs images in the cluster, which `make images` loads: {sorted(lacking)}")
