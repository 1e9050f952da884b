"""A Kubernetes for development and tests, built from the real components.

``python3 -m dev.cluster`` for the terminal, :class:`Cluster` for tests. It needs nothing but
Python's standard library, Go and the system packages that ``make cluster`` installs.
"""

from dev.cluster.cluster import Cluster
from dev.cluster.errors import CannotRun, ClusterError
from dev.cluster.images import write_image

__all__ = ["CannotRun", "Cluster", "ClusterError", "write_image"]
