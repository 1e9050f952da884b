"""What zero-to-jupyterhub 4 makes of a values file: the part of its hub's configuration that
reaches spawners, with the chart's defaults.

Written from the chart's documentation, for tests; a cluster gets the chart itself.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from traitlets.config import Config

HOW_TO = Path(__file__).resolve().parents[2] / "docs" / "how-to" / "zero-to-jupyterhub.md"

NOTEBOOK_TRAITS = {
    "allow_privilege_escalation": False,
    "uid": 1000,
    "fs_gid": 100,
    "cmd": "jupyterhub-singleuser",
    "mem_guarantee": "1G",
    "start_timeout": 300,
    "events_enabled": True,
    "extra_labels": {"hub.jupyter.org/network-access-hub": "true"},
    "common_labels": {
        "app": "jupyterhub",
        "release": "hub",
        "chart": "jupyterhub-4.3.1",
        "app.kubernetes.io/managed-by": "kubespawner",
    },
    "pvc_name_template": "claim-{user_server}",
    "storage_pvc_ensure": True,
    "storage_capacity": "10Gi",
    "storage_access_modes": ["ReadWriteOnce"],
    "volumes": [
        {
            "name": "volume-{user_server}",
            "persistentVolumeClaim": {"claimName": "claim-{user_server}"},
        }
    ],
    "volume_mounts": [{"mountPath": "/home/jovyan", "name": "volume-{user_server}"}],
    "tolerations": [
        {
            "key": "hub.jupyter.org/dedicated",
            "operator": "Equal",
            "value": "user",
            "effect": "NoSchedule",
        }
    ],
    "node_affinity_preferred": [
        {
            "weight": 100,
            "preference": {
                "matchExpressions": [
                    {
                        "key": "hub.jupyter.org/node-purpose",
                        "operator": "In",
                        "values": ["user"],
                    }
                ]
            },
        }
    ],
}
"""What the chart sets by itself on ``c.KubeSpawner``."""

CLOUD_METADATA = {
    "name": "block-cloud-metadata",
    "command": ["iptables", "--append", "OUTPUT", "--destination", "169.254.169.254", "-j", "DROP"],
    "securityContext": {
        "privileged": True,
        "runAsUser": 0,
        "capabilities": {"add": ["NET_ADMIN"]},
    },
}
"""The chart's init container, unless ``singleuser.cloudMetadata.blockWithIptables`` is false."""


def values_of_the_how_to() -> dict[str, Any]:
    """The values file that the how-to gives."""
    blocks = re.findall(r"```yaml\n(# values\.yaml\n.*?)```", HOW_TO.read_text(), re.DOTALL)
    (values,) = (yaml.safe_load(block) for block in blocks)
    found: dict[str, Any] = values
    return found


def rendered(values: Mapping[str, Any]) -> Config:
    """The hub's configuration for these values."""
    c = Config()
    c.JupyterHub.spawner_class = "kubespawner.KubeSpawner"
    c.JupyterHub.cleanup_servers = False
    c.JupyterHub.tornado_settings = {"slow_spawn_timeout": 0}
    c.ConfigurableHTTPProxy.should_start = False
    c.KubeSpawner.update(yaml.safe_load(yaml.safe_dump(NOTEBOOK_TRAITS)))
    single = values.get("singleuser", {})
    image = single.get("image", {})
    c.KubeSpawner.image = (
        f"{image.get('name', 'quay.io/jupyterhub/k8s-singleuser-sample')}"
        f":{image.get('tag', '4.3.1')}"
    )
    if "profileList" in single:
        c.KubeSpawner.profile_list = single["profileList"]
    if "guarantee" in single.get("memory", {}):
        c.KubeSpawner.mem_guarantee = single["memory"]["guarantee"]
    if single.get("cloudMetadata", {}).get("blockWithIptables", True):
        tools = single.get("networkTools", {}).get("image", {})
        image = f"{tools.get('name', 'quay.io/jupyterhub/k8s-network-tools')}"
        c.KubeSpawner.init_containers = [
            CLOUD_METADATA | {"image": f"{image}:{tools.get('tag', '4.3.1')}"}
        ]
    hub = values.get("hub", {})
    for section, options in hub.get("config", {}).items():
        c[section].update(options)
    for code in hub.get("extraConfig", {}).values():
        exec(code, {"c": c})
    return c
