"""The machine's own settings of pip and npm, and whom it trusts: mounted while an image is built,
and part of none."""

from __future__ import annotations

import configparser
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

AUTHORITIES = (
    "/etc/ssl/certs/ca-certificates.crt",  # Debian
    "/etc/pki/tls/certs/ca-bundle.crt",  # RHEL
)
PIP_FILES = (Path("/etc/pip.conf"), Path("~/.pip/pip.conf"), Path("~/.config/pip/pip.conf"))
PIP_SETTINGS = ("index-url", "extra-index-url", "trusted-host", "proxy", "timeout", "retries")
"""Those that say where packages come from; a folder of this machine is not there in a build."""


@contextmanager
def build_settings() -> Iterator[Path]:
    """A private folder with ``pip.conf``, ``npmrc`` and ``ca.pem``, removed afterwards."""
    with tempfile.TemporaryDirectory(prefix="build-") as name:
        folder = Path(name)
        bundles = [os.environ.get("SSL_CERT_FILE", ""), *AUTHORITIES]
        if bundle := next((file for file in bundles if file and Path(file).is_file()), None):
            shutil.copyfile(bundle, folder / "ca.pem")
        else:
            (folder / "ca.pem").touch()
        (folder / "pip.conf").write_text(_pip(bool(bundle)))
        (folder / "npmrc").write_text(_npm())
        yield folder


def _pip(with_authorities: bool) -> str:
    parser = configparser.ConfigParser(interpolation=None)
    parser.read([file.expanduser() for file in PIP_FILES])
    found = {
        name: value
        for section in ("global", "install")
        if parser.has_section(section)
        for name, value in parser.items(section)
    }
    for name in PIP_SETTINGS:
        if value := os.environ.get(f"PIP_{name.upper().replace('-', '_')}"):
            found[name] = value
    lines = [f"{name} = {found[name]}" for name in PIP_SETTINGS if name in found]
    if with_authorities:
        lines.append("cert = /run/build/ca.pem")
    return "\n".join(["[global]", *lines]) + "\n"


def _npm() -> str:
    file = Path("~/.npmrc").expanduser()
    lines = file.read_text().splitlines() if file.is_file() else []
    kept = [line for line in lines if not line.strip().startswith(("cafile", "prefix", "nodedir"))]
    if registry := os.environ.get("NPM_CONFIG_REGISTRY"):
        kept.append(f"registry={registry}")
    return "\n".join(kept) + "\n"
