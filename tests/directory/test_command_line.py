"""``savu-spawner`` as an administrator runs it: a program of its own, asking a real directory."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from demo.slapd import Slapd
from tests.support.checked_cluster import checked_cluster
from tests.support.kubernetes import kubeconfig


@pytest.fixture
def configuration(server: Slapd, tmp_path: Path) -> Path:
    path = tmp_path / "jupyterhub_config.py"
    path.write_text(
        f"""
c = get_config()
c.JupyterHub.spawner_class = "savu"
c.LdapDirectory.servers = ["{server.url}"]
c.LdapDirectory.ca_file = "{server.ca_file}"
c.LdapDirectory.user_base = "ou=people,{server.base_dn}"
c.LdapDirectory.group_base = "ou=groups,{server.base_dn}"
c.AccountPolicy.support_contact = "the helpdesk"
c.SavuSpawner.data_volumes = [
    {{"mountPath": "/dls", "volume": {{"persistentVolumeClaim": {{"claimName": "dls"}}}}}}
]
"""
    )
    return path


def run(configuration: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    with checked_cluster() as api, kubeconfig(configuration.parent, api.url) as cluster:
        return subprocess.run(
            [sys.executable, "-m", "savu_spawner.cli", *arguments, "-f", str(configuration)],
            env={**os.environ, "KUBECONFIG": str(cluster)},
            capture_output=True,
            text=True,
            timeout=60,
        )


def test_check_prints_the_identity_that_the_directory_describes(configuration: Path) -> None:
    ended = run(configuration, "check", "--user", "ada")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "uid 21001" in ended.stdout


def test_check_of_an_unknown_user_fails_with_the_reason(configuration: Path) -> None:
    ended = run(configuration, "check", "--user", "nobody-of-that-name")
    assert ended.returncode == 1
    assert "[account-not-found]" in ended.stdout


def test_check_does_not_trust_a_directory_without_its_authority(configuration: Path) -> None:
    text = configuration.read_text()
    configuration.write_text(text + 'c.LdapDirectory.ca_file = ""\n')
    ended = run(configuration, "check", "--user", "ada")
    assert ended.returncode == 1
    assert "FAIL  directory" in ended.stdout
    assert "uid" not in ended.stdout


def test_manifest_runs_as_the_directory_says(configuration: Path) -> None:
    ended = run(configuration, "manifest", "--as-hub", "--user", "ada")
    assert ended.returncode == 0, ended.stderr
    security = yaml.safe_load(ended.stdout)["spec"]["securityContext"]
    assert security["runAsUser"] == 21001
