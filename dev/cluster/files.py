"""Files of the state folder."""

from __future__ import annotations

import json
from pathlib import Path


def write_json(file: Path, content: object) -> None:
    """Write JSON, which is YAML too: every program of the cluster reads it."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(content, indent=1) + "\n")
