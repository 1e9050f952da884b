"""The command line: what it prints, and how it exits."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from traitlets.config import Config

from savu_spawner import cli
from savu_spawner.cli import Finding, check_data_roots, configured_spawner, read_configuration
from savu_spawner.directory import LdapDirectory
from savu_spawner.errors import AccountNotFound, DirectoryUnavailable
from savu_spawner.identity import Identity
from savu_spawner.local import LocalSavuSpawner
from savu_spawner.spawner import SavuSpawner
from tests.support.identities import ADA
from tests.support.kubernetes import kubeconfig
from tests.support.needs import needs_root

DIRECTORY = """
c.LdapDirectory.servers = ["ldaps://ldap.test"]
c.LdapDirectory.user_base = "dc=test"
c.LdapDirectory.group_base = "dc=test"
c.AccountPolicy.support_contact = "the helpdesk"
"""
PODS = f"""
c = get_config()
c.JupyterHub.spawner_class = "savu"
c.JupyterHub.base_url = "/savu/"
c.SavuSpawner.data_volumes = [
    {{"mountPath": "/dls", "volume": {{"persistentVolumeClaim": {{"claimName": "dls"}}}}}}
]
{DIRECTORY}
"""


@pytest.fixture
def configuration(tmp_path: Path) -> Path:
    path = tmp_path / "jupyterhub_config.py"
    path.write_text(PODS)
    return path


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[None]:
    with kubeconfig(tmp_path):
        yield


@pytest.fixture
def directory(monkeypatch: pytest.MonkeyPatch) -> dict[str, Identity]:
    """A directory that knows these people; asked without a network."""
    people = {"ada": ADA}

    async def identity(self: LdapDirectory, name: str) -> Identity:
        try:
            return people[name]
        except KeyError:
            raise AccountNotFound("The directory does not know your account.") from None

    monkeypatch.setattr(LdapDirectory, "identity", identity)
    return people


def run(*arguments: str) -> int:
    """The exit status of ``savu-spawner`` with these arguments."""
    try:
        cli.SavuSpawnerApplication.launch_instance(list(arguments))
    except SystemExit as end:
        return int(end.code or 0)
    finally:
        for command in (cli.Check, cli.Manifest, cli.SavuSpawnerApplication):
            command.clear_instance()
    return 0


def test_without_a_command_it_says_what_there_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert run() == 2
    said = capsys.readouterr().out
    assert "check" in said
    assert "manifest" in said


def test_the_installed_program_starts() -> None:
    program = Path(sys.executable).with_name("savu-spawner")
    command = [str(program)] if program.exists() else [sys.executable, "-m", "savu_spawner.cli"]
    ended = subprocess.run([*command, "check", "-h"], capture_output=True, text=True, timeout=60)
    assert ended.returncode == 0
    assert "--user" in ended.stdout


@pytest.mark.parametrize("command", ["check", "manifest"])
def test_a_configuration_that_is_not_there_is_told(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(command, "-f", str(tmp_path / "none.py"), "--user", "ada") == 78
    assert "none.py" in capsys.readouterr().err


def test_a_configuration_that_fails_is_told_with_its_error(
    configuration: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    configuration.write_text("c = get_config()\nc.JupyterHub.port = 1 / 0\n")
    assert run("check", "-f", str(configuration)) == 78
    assert "division by zero" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("named", "meant"),
    [
        ("savu", SavuSpawner),
        ("savu-local", LocalSavuSpawner),
        ("savu_spawner.spawner.SavuSpawner", SavuSpawner),
        (SavuSpawner, SavuSpawner),
    ],
)
def test_the_spawners_class_is_found_by_any_of_its_names(named: object, meant: type) -> None:
    config = Config()
    config.JupyterHub.spawner_class = named
    assert configured_spawner(config) is meant


@pytest.mark.parametrize("named", ["simple", "nothing.at.all", None])
def test_a_spawner_that_starts_no_sessions_of_savu_is_told(named: str | None) -> None:
    config = Config()
    if named:
        config.JupyterHub.spawner_class = named
    with pytest.raises(cli.Misconfigured, match="spawner_class"):
        configured_spawner(config)


def test_a_configuration_can_import_what_lies_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "jupyterhub_config.py"
    path.write_text("import os\nc = get_config()\nc.SavuSpawner.engines = [os.sep]\n")
    assert read_configuration(path).SavuSpawner.engines == ["/"]


# -- manifest -------------------------------------------------------------------------------------


def test_manifest_prints_the_users_pod(
    configuration: Path,
    cluster: None,
    directory: dict[str, Identity],
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run("manifest", "-f", str(configuration), "--user", "ada") == 0
    pod = yaml.safe_load(capsys.readouterr().out)
    assert (pod["kind"], pod["metadata"]["name"]) == ("Pod", "jupyter-ada")
    assert pod["spec"]["securityContext"]["runAsUser"] == ADA.uid
    web = {v["name"]: v["value"] for v in pod["spec"]["containers"][0]["env"]}
    assert web["SESSION_PREFIX"] == "/savu/user/ada/"


def test_manifest_of_a_named_server_has_its_own_name_and_prefix(
    configuration: Path,
    cluster: None,
    directory: dict[str, Identity],
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run("manifest", "-f", str(configuration), "--user", "ada", "--server", "two") == 0
    pod = yaml.safe_load(capsys.readouterr().out)
    web = {v["name"]: v["value"] for v in pod["spec"]["containers"][0]["env"]}
    assert web["SESSION_PREFIX"] == "/savu/user/ada/two/"
    assert pod["metadata"]["name"].startswith("jupyter-ada--two")


def test_manifest_holds_nothing_that_only_a_running_hub_knows(
    configuration: Path,
    cluster: None,
    directory: dict[str, Identity],
    capsys: pytest.CaptureFixture[str],
) -> None:
    run("manifest", "-f", str(configuration), "--user", "ada")
    assert "JUPYTERHUB_" not in capsys.readouterr().out


def test_manifest_is_what_a_sites_hook_makes_of_it(
    configuration: Path,
    cluster: None,
    directory: dict[str, Identity],
    capsys: pytest.CaptureFixture[str],
) -> None:
    hook = """
def label(spawner, pod):
    pod.metadata.labels["beamline"] = "i12"
    return pod
c.SavuSpawner.modify_pod_hook = label
"""
    configuration.write_text(PODS + hook)
    assert run("manifest", "-f", str(configuration), "--user", "ada") == 0
    assert yaml.safe_load(capsys.readouterr().out)["metadata"]["labels"]["beamline"] == "i12"


def test_manifest_of_a_user_without_a_session_says_why(
    configuration: Path,
    cluster: None,
    directory: dict[str, Identity],
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run("manifest", "-f", str(configuration), "--user", "nobody") == 1
    said = capsys.readouterr()
    assert "[account-not-found]" in said.err
    assert said.out == ""


# -- check ----------------------------------------------------------------------------------------


def test_check_of_a_sound_configuration_succeeds(
    configuration: Path,
    cluster: None,
    directory: dict[str, Identity],
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run("check", "-f", str(configuration), "--user", "ada") == 0
    said = capsys.readouterr().out
    assert "uid 37001" in said
    assert "i12_staff (41002)" in said
    assert "pod: can be made" in said
    assert "FAIL" not in said


def test_check_says_why_a_user_is_refused(
    configuration: Path,
    cluster: None,
    directory: dict[str, Identity],
    capsys: pytest.CaptureFixture[str],
) -> None:
    configuration.write_text(PODS + 'c.AccountPolicy.refused_groups = ["i12_staff"]\n')
    assert run("check", "-f", str(configuration), "--user", "ada") == 1
    said = capsys.readouterr().out
    assert "uid 37001" in said
    assert "i12_staff" in said
    assert "[account-refused]" in said


def test_check_says_that_the_directory_does_not_answer(
    configuration: Path,
    cluster: None,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    async def identity(self: LdapDirectory, name: str) -> Identity:
        raise DirectoryUnavailable("Try again.", log_message="ldap.test: connection refused")

    monkeypatch.setattr(LdapDirectory, "identity", identity)
    assert run("check", "-f", str(configuration), "--user", "ada") == 1
    said = capsys.readouterr().out
    assert "FAIL  directory: ldap.test: connection refused" in said
    assert "→ look at c.LdapDirectory" in said


@pytest.mark.parametrize(
    ("setting", "told"),
    [
        ("c.SavuSpawner.uid = 1000", "the directory decides"),
        ("c.SavuSpawner.pod_security_context = {'runAsUser': 0}", "runAsUser"),
        ("c.SavuSpawner.extra_pod_config = {'hostNetwork': True}", "hostNetwork"),
        ("c.SavuSpawner.data_roots = ['/scratch']", "/scratch"),
        ("c.SavuSpawner.state_dir = '/var/state'", "/var/state"),
        ("c.SavuSpawner.data_volumes = [{'mountPath': '/dls'}]", "data volume at /dls"),
        ("c.SavuSpawner.service_uid = 37001", "identity that web and gate run as"),
    ],
)
def test_check_finds_a_configuration_that_makes_no_safe_pod(
    configuration: Path,
    cluster: None,
    directory: dict[str, Identity],
    capsys: pytest.CaptureFixture[str],
    setting: str,
    told: str,
) -> None:
    configuration.write_text(f"{PODS}\n{setting}\n")
    assert run("check", "-f", str(configuration), "--user", "ada") == 1
    assert told in capsys.readouterr().out


def test_check_without_a_cluster_says_so(
    configuration: Path,
    directory: dict[str, Identity],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with kubeconfig(tmp_path) as path:
        path.unlink()
        assert run("check", "-f", str(configuration)) == 1
    assert "KUBECONFIG" in capsys.readouterr().out


def verdicts(root: Path, identity: Identity) -> list[Finding]:
    return list(check_data_roots([str(root)], identity, on_this_machine=True))


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder whose parents everybody may pass through; pytest's own are private."""
    with tempfile.TemporaryDirectory(prefix="savu-test-") as folder:
        yield Path(folder)


def test_check_tells_what_a_user_may_do_with_data(open_folder: Path) -> None:
    needs_root()
    os.chown(open_folder, 0, 41001)
    open_folder.chmod(0o2770)
    (member,) = verdicts(open_folder, ADA)
    assert "may read and write" in member.what
    (stranger,) = verdicts(open_folder, replace(ADA, groups=()))
    assert stranger.verdict == "FAIL"
    assert "may not read" in stranger.what
    open_folder.chmod(0o2755)
    (reader,) = verdicts(open_folder, ADA)
    assert "may read /" in reader.what


def test_check_misses_a_folder_that_is_not_there(tmp_path: Path) -> None:
    (finding,) = verdicts(tmp_path / "absent", ADA)
    assert finding.verdict == "FAIL"


def test_check_asks_for_a_folder_if_none_is_configured() -> None:
    (finding,) = check_data_roots([], ADA, on_this_machine=True)
    assert finding.verdict == "FAIL"
    assert "data_roots" in finding.mend
