"""Configuration files as JupyterHub reads them, a site's on top of the production's."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

from traitlets.config import Config

from tests.support.people import ROOT

PRODUCTION = ROOT / "jupyterhub_config.py"


HOW_TO = ROOT / "docs" / "how-to" / "deploy-on-kubernetes.md"


def files_of_the_how_to() -> dict[str, str]:
    """The overlay that the how-to gives: name → content."""
    blocks = re.findall(r"```\w+\n# overlays/facility/(\S+)\n(.*?)```", HOW_TO.read_text(), re.S)
    return dict(blocks)


def configured(file: Path, site: Path | None = None) -> Config:
    """What JupyterHub reads from ``file``, with this file of a site's own where it loads one."""
    config = Config()

    def run(path: Path) -> None:
        known = {"get_config": lambda: config, "load_subconfig": lambda _: site and run(site)}
        runpy.run_path(str(path), init_globals=known)

    run(file)
    return config
