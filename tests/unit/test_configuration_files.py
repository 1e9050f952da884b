"""The configuration files that are shipped: declarative, and every name in them exists."""

from __future__ import annotations

import ast
import os
import re
from pathlib import Path

import pytest
import yaml
from jupyterhub.app import JupyterHub
from jupyterhub.auth import Authenticator
from jupyterhub.proxy import ConfigurableHTTPProxy

from demo.kubernetes import FOLDER, OVERLAY, Kubectl, KubernetesDemo
from dev.reference import CLASSES
from savu_spawner._version import __version__
from tests.support.needs import needs_program
from tests.support.people import ROOT
from tests.support.site_configuration import PRODUCTION, configured, files_of_the_how_to

ON_KUBERNETES = ROOT / "kubernetes" / "overlays" / "demo" / "site_config.py"
FILES = [PRODUCTION, ROOT / "demo" / "jupyterhub_config.py", ON_KUBERNETES]
KNOWN = {cls.__name__: cls for cls in (*CLASSES, JupyterHub, Authenticator, ConfigurableHTTPProxy)}


@pytest.fixture(params=FILES, ids=lambda path: str(path.relative_to(ROOT)))
def file(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ast.walk(ast.parse(request.param.read_text())):
        if isinstance(name, ast.Constant) and re.fullmatch("DEMO_[A-Z_]+", str(name.value)):
            monkeypatch.setenv(str(name.value), "/demo")
    return request.param


def test_nothing_is_decided_in_it(file: Path) -> None:
    decisions = (ast.FunctionDef, ast.Lambda, ast.If, ast.For, ast.While, ast.Try, ast.ClassDef)
    assert not [
        node for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, decisions)
    ]


def test_every_option_in_it_exists(file: Path) -> None:
    config = configured(file)
    assert config
    for section, options in config.items():
        assert set(options) <= set(KNOWN[section].class_traits(config=True)), section


def test_a_site_replaces_every_value_in_capitals(tmp_path: Path) -> None:
    placeholder = re.compile(r"FACILITY|EXAMPLE|HUB-ADMINISTRATOR|/DATA")
    assert placeholder.search(str(configured(PRODUCTION)))
    of_the_how_to = tmp_path / "site_config.py"
    of_the_how_to.write_text(files_of_the_how_to()["site_config.py"])
    for file in (ON_KUBERNETES, of_the_how_to):
        assert not placeholder.search(str(configured(PRODUCTION, file)))


def test_images_of_the_deployment_have_this_version() -> None:
    files = sorted((ROOT / "kubernetes").rglob("kustomization.yaml"))
    tags = [
        image["newTag"]
        for file in files
        for image in yaml.safe_load(file.read_text()).get("images", [])
    ]
    assert len(tags) >= 6
    assert set(tags) == {__version__}


@pytest.mark.parametrize("folder", [OVERLAY, OVERLAY / "setup"], ids=["demo", "setup"])
def test_demo_takes_all_images_from_another_registry(folder: Path) -> None:
    program = needs_program("kubectl")
    demo = KubernetesDemo(Kubectl(program, os.devnull), "registry.test/group", volumes="/srv/demo")
    text = demo.rendered(folder)
    assert "localhost" not in text
    assert "registry.test/group/savu-" in text
    assert "/srv/demo" in text
    assert FOLDER not in text
