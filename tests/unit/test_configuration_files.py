"""The configuration files that are shipped: declarative, and every name in them exists."""

from __future__ import annotations

import ast
import runpy
from pathlib import Path

import pytest
from jupyterhub.app import JupyterHub
from jupyterhub.auth import Authenticator
from jupyterhub.proxy import ConfigurableHTTPProxy
from traitlets.config import Config

from dev.reference import CLASSES
from tests.support.people import ROOT

FILES = [ROOT / "jupyterhub_config.py", ROOT / "demo" / "jupyterhub_config.py"]
KNOWN = {cls.__name__: cls for cls in (*CLASSES, JupyterHub, Authenticator, ConfigurableHTTPProxy)}


@pytest.fixture(params=FILES, ids=lambda path: str(path.relative_to(ROOT)))
def file(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ast.walk(ast.parse(request.param.read_text())):
        if isinstance(name, ast.Constant) and str(name.value).startswith("DEMO_"):
            monkeypatch.setenv(str(name.value), "/demo")
    return request.param


def test_nothing_is_decided_in_it(file: Path) -> None:
    decisions = (ast.FunctionDef, ast.Lambda, ast.If, ast.For, ast.While, ast.Try, ast.ClassDef)
    assert not [
        node for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, decisions)
    ]


def test_every_option_in_it_exists(file: Path) -> None:
    config = Config()
    runpy.run_path(str(file), init_globals={"get_config": lambda: config})
    assert config
    for section, options in config.items():
        assert set(options) <= set(KNOWN[section].class_traits(config=True)), section
