"""What kustomize makes of the folders in ``kubernetes/``, for a namespace of a test's own."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Any

import yaml

from demo.kubernetes import Kubectl
from tests.support.people import ROOT

FOLDERS = sorted(
    file.parent
    for file in (ROOT / "kubernetes").rglob("kustomization.yaml")
    if "kind: Kustomization" in file.read_text()
)


def rendered(kubectl: Kubectl, folder: Path, namespace: str) -> list[dict[str, Any]]:
    """The objects of ``folder``, in ``namespace``."""
    with tempfile.TemporaryDirectory() as name:
        derived = Path(name).resolve()
        kustomization = {
            "apiVersion": "kustomize.config.k8s.io/v1beta1",
            "kind": "Kustomization",
            "namespace": namespace,
            "resources": [os.path.relpath(folder, derived)],
        }
        (derived / "kustomization.yaml").write_text(json.dumps(kustomization))
        return list(yaml.safe_load_all(kubectl("kustomize", str(derived))))
