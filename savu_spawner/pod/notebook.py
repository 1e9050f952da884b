"""KubeSpawner's pod for a notebook, taken apart: what of it a session uses, and where.

What contradicts a session's identity or isolation is refused, what is for notebooks only is left
out, each with a sentence for the log.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from savu_spawner.contract import HUB_VARIABLES, PROGRAMS

NAME = "notebook"
LIMIT_VARIABLES = frozenset({"MEM_LIMIT", "MEM_GUARANTEE", "CPU_LIMIT", "CPU_GUARANTEE"})
NOTEBOOK_HOME = "/home/jovyan"
IDENTITY = frozenset(
    {
        "runAsUser",
        "runAsGroup",
        "runAsNonRoot",
        "supplementalGroups",
        "fsGroup",
        "fsGroupChangePolicy",
    }
)
ISOLATION = frozenset(
    {
        "privileged",
        "allowPrivilegeEscalation",
        "capabilities",
        "readOnlyRootFilesystem",
        "procMount",
        "seccompProfile",
    }
)


class Contradiction(ValueError):
    """A setting for notebooks would undo a session's identity or isolation."""


@dataclass(frozen=True)
class Notebook:
    """KubeSpawner's pod, in its parts."""

    pod: Mapping[str, Any]
    """The pod without the notebook's container and without what is not applied."""
    hub_variables: Sequence[Mapping[str, Any]]
    """For ``gate`` alone: JupyterHub's token is among them."""
    variables: Sequence[Mapping[str, Any]]
    """``c.KubeSpawner.environment`` and the limits, for ``api``."""
    resources: Mapping[str, Any]
    volume_mounts: Sequence[Mapping[str, Any]]
    security: Mapping[str, Any]
    """``container_security_context``, for ``api``: SELinux, AppArmor."""
    other_settings: Mapping[str, Any]
    """Life cycle hooks and whatever ``extra_container_config`` adds."""
    not_applied: tuple[str, ...]
    """A sentence for the log each."""


def take_apart(pod: Mapping[str, Any], environment: frozenset[str], home_claim: str) -> Notebook:
    """The parts of ``pod``, as KubeSpawner made it.

    ``environment`` names the variables that an administrator configured: of the others only those
    of JupyterHub (for the gate) and the limits are known to be harmless. ``home_claim`` is the
    claim that KubeSpawner would mount as the notebook's home.

    Raises:
        Contradiction: something in it would undo the session's identity or isolation.
    """
    spec = dict(pod["spec"])
    containers = {container["name"]: dict(container) for container in spec.pop("containers")}
    notebook = containers.pop(NAME)
    notes: list[str] = []
    _refuse_shared_namespaces(spec)
    security = _harmless_security(notebook.pop("securityContext", None), notes)
    spec["securityContext"] = _without_identity(spec.get("securityContext"), notes)
    for name in ("args", "command"):
        if notebook.pop(name, None):
            notes.append(f"{'cmd and args' if name == 'args' else name}: images start themselves")
    for taken in ("name", "image", "ports", "imagePullPolicy"):
        notebook.pop(taken, None)
    env = notebook.pop("env", None) or []
    home, mounts = _home(
        spec.get("volumes") or [], notebook.pop("volumeMounts", None) or [], home_claim
    )
    if home:
        notes.append(f"home volume ({', '.join(sorted(home))}): data volumes are data_volumes")
    spec["volumes"] = [v for v in spec.get("volumes") or [] if v["name"] not in home]
    spec["initContainers"] = _harmless(spec.get("initContainers") or [], notes)
    if not spec["initContainers"]:
        del spec["initContainers"]
    if clash := containers.keys() & set(PROGRAMS):
        raise Contradiction(f"extra_containers has the name of a session's own: {sorted(clash)}")
    spec["containers"] = [_bounded(container) for container in containers.values()]
    return Notebook(
        pod={**pod, "spec": spec},
        hub_variables=[variable for variable in env if variable["name"].startswith(HUB_VARIABLES)],
        variables=[
            variable
            for variable in env
            if variable["name"] in environment | LIMIT_VARIABLES
            and not variable["name"].startswith(HUB_VARIABLES)
        ],
        resources=_quantities(notebook.pop("resources", None) or {}),
        volume_mounts=mounts,
        security=security,
        other_settings={name: value for name, value in notebook.items() if value},
        not_applied=tuple(notes),
    )


def without(
    variables: Sequence[Mapping[str, Any]], others: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """``variables`` but those whose name is among ``others``."""
    names = {variable["name"] for variable in others}
    return [dict(variable) for variable in variables if variable["name"] not in names]


def _quantities(resources: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, str]]:
    """Requests and limits in the API's form: JupyterHub has numbers."""
    return {
        kind: {name: str(quantity) for name, quantity in quantities.items()}
        for kind, quantities in resources.items()
        if quantities
    }


def _refuse_shared_namespaces(spec: dict[str, Any]) -> None:
    for name in ("hostNetwork", "hostPID", "hostIPC", "shareProcessNamespace"):
        if spec.pop(name, None):
            raise Contradiction(f"extra_pod_config sets {name}: the gate's token could be read")
    if spec.pop("automountServiceAccountToken", None):
        raise Contradiction("automount_service_account_token is set: users' code would have it")


def _harmless_security(context: Mapping[str, Any] | None, notes: list[str]) -> dict[str, Any]:
    """What of a notebook's ``securityContext`` leaves identity and isolation alone."""
    kept = {}
    for name, value in (context or {}).items():
        if name in {"runAsUser", "runAsGroup"}:
            notes.append(f"{name} {value} of notebooks: the directory decides")
        elif name == "allowPrivilegeEscalation" and value is False:
            continue
        elif name in IDENTITY | ISOLATION:
            raise Contradiction(
                f"container_security_context sets {name}: a session has its own rules for that"
            )
        else:
            kept[name] = value
    return kept


def _without_identity(context: Mapping[str, Any] | None, notes: list[str]) -> dict[str, Any]:
    kept = dict(context or {})
    if (group := kept.pop("fsGroup", None)) is not None:
        notes.append(f"fs_gid {group}: it would change the group of users' files")
    kept.pop("fsGroupChangePolicy", None)
    if contradiction := kept.keys() & (IDENTITY | ISOLATION):
        raise Contradiction(
            f"pod_security_context sets {', '.join(sorted(contradiction))}:"
            " a session has its own rules for that"
        )
    return kept


def _bounded(container: Mapping[str, Any]) -> dict[str, Any]:
    """An administrator's own container: in the user's identity, and unable to leave it."""
    security = container.get("securityContext") or {}
    if _is_privileged(security):
        raise Contradiction(
            f"extra_containers: {container['name']} is privileged, and could read the gate's token"
        )
    # KubeSpawner reads the ports of every container.
    return {"ports": [], **container, "securityContext": _unprivileged() | security}


def _unprivileged() -> dict[str, Any]:
    return {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}


def _is_privileged(security: Mapping[str, Any]) -> bool:
    return bool(
        security.get("privileged")
        or security.get("allowPrivilegeEscalation")
        or security.get("runAsUser") == 0
        or (security.get("capabilities") or {}).get("add")
    )


def _home(
    volumes: Sequence[Mapping[str, Any]], mounts: Sequence[Mapping[str, Any]], claim: str
) -> tuple[set[str], list[Mapping[str, Any]]]:
    """Names of volumes that are a notebook's home, and the mounts without them."""
    home = {
        volume["name"]
        for volume in volumes
        if (volume.get("persistentVolumeClaim") or {}).get("claimName") == claim
    }
    home |= {mount["name"] for mount in mounts if mount["mountPath"].rstrip("/") == NOTEBOOK_HOME}
    return home, [mount for mount in mounts if mount["name"] not in home]


def _harmless(containers: Sequence[Mapping[str, Any]], notes: list[str]) -> list[Mapping[str, Any]]:
    kept: list[Mapping[str, Any]] = []
    for container in containers:
        security = container.get("securityContext") or {}
        if _is_privileged(security):
            notes.append(f"privileged init container {container['name']}: use a NetworkPolicy")
        else:
            kept.append({**container, "securityContext": _unprivileged() | security})
    return kept
