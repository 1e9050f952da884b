"""Who the processes of a session are, and what they may not do.

=====================  ===========  ===================  ===================================
setting                web, gate    api, dataserver      api, dataserver with ``run_as=image``
=====================  ===========  ===================  ===================================
runAsUser, runAsGroup  nobody's     the user's (pod's)   0: the image drops to PUID, PGID
runAsNonRoot           yes          yes (pod's)          no
capabilities           none         none                 those that taking an identity needs
root file system       read-only    read-only            writable: such images edit /etc/passwd
=====================  ===========  ===================  ===================================

Supplementary groups exist for a whole pod only: web and gate have the user's too, and nothing
mounted that these would open.
"""

from __future__ import annotations

from typing import Any

from savu_spawner.contract import USER_PROGRAMS, Program
from savu_spawner.identity import Identity
from savu_spawner.pod.settings import PodSettings

TAKING_AN_IDENTITY = ["CHOWN", "DAC_OVERRIDE", "FOWNER", "SETGID", "SETUID"]


def pod_security(identity: Identity, settings: PodSettings) -> dict[str, Any]:
    """The pod's ``securityContext``: every container inherits it, forgotten ones too.

    Raises:
        ValueError: an identity that must never run a session: root's, or that of web and gate.
    """
    gids = [identity.group.gid, *identity.gids]
    if identity.uid <= 0 or min(gids) <= 0:
        raise ValueError(f"{identity.name} has root's user or group ID")
    if identity.uid == settings.service_uid or settings.service_gid in gids:
        raise ValueError(f"{identity.name} has the identity that web and gate run as")
    context: dict[str, Any] = {
        "supplementalGroups": sorted(set(identity.gids) - {identity.group.gid}),
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    if settings.run_as == "user":
        context |= {
            "runAsUser": identity.uid,
            "runAsGroup": identity.group.gid,
            "runAsNonRoot": True,
        }
    if settings.supplemental_groups_policy:
        context["supplementalGroupsPolicy"] = settings.supplemental_groups_policy
    return context


def container_security(program: Program, settings: PodSettings) -> dict[str, Any]:
    """A container's own ``securityContext``."""
    context: dict[str, Any] = {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "readOnlyRootFilesystem": True,
    }
    if program not in USER_PROGRAMS:
        context |= {
            "runAsUser": settings.service_uid,
            "runAsGroup": settings.service_gid,
            "runAsNonRoot": True,
        }
    elif settings.run_as == "image":
        context |= {
            "runAsUser": 0,
            "runAsGroup": 0,
            "runAsNonRoot": False,
            "readOnlyRootFilesystem": False,
            "capabilities": {"drop": ["ALL"], "add": list(TAKING_AN_IDENTITY)},
        }
    return context
