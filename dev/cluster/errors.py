"""What can go wrong with the development cluster, in words for the developer at the terminal."""

from __future__ import annotations


class ClusterError(Exception):
    """The cluster cannot do what was asked; the text says what failed and where to look."""


class CannotRun(ClusterError):
    """This machine lacks something that the cluster needs: root, Go, a package, a controller."""
