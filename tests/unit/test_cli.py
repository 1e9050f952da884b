"""The command line: what it prints, and how it exits."""

from __future__ import annotations

import json
import os
import pwd
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from traitlets.config import Config

from savu_spawner import cli
from savu_spawner.cli import configured_spawner, read_configuration
from savu_spawner.cli.application import command_first
from savu_spawner.cli.checks.cluster import refusals
from savu_spawner.cli.checks.data import check_data_roots
from savu_spawner.cli.checks.finding import Finding
from savu_spawner.cli.checks.pod import coherence, version_of
from savu_spawner.cli.description import differences
from savu_spawner.cli.start import is_about_key
from savu_spawner.cli.status import age, table
from savu_spawner.cli.who import check_uid, local_account
from savu_spawner.directory import LdapDirectory
from savu_spawner.errors import AccountNotFound, AccountRefused, DirectoryUnavailable
from savu_spawner.identity import Identity
from savu_spawner.local import LocalSavuSpawner
from savu_spawner.pod import DataVolume
from savu_spawner.spawner import SavuSpawner
from tests.support.checked_cluster import CheckedCluster, checked_cluster
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
def cluster(tmp_path: Path) -> Iterator[CheckedCluster]:
    with checked_cluster() as cluster, kubeconfig(tmp_path, cluster.url):
        yield cluster


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
        for command, _ in cli.COMMANDS.values():
            command.clear_instance()
        cli.SavuSpawnerApplication.clear_instance()
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


@pytest.mark.parametrize("command", cli.COMMANDS)
def test_a_configuration_that_is_not_there_is_told(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(command, "--config", str(tmp_path / "none.py")) == 78
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
    cluster: CheckedCluster,
    directory: dict[str, Identity],
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run("manifest", "--as-hub", "-f", str(configuration), "--user", "ada") == 0
    pod = yaml.safe_load(capsys.readouterr().out)
    assert (pod["kind"], pod["metadata"]["name"]) == ("Pod", "jupyter-ada")
    assert pod["spec"]["securityContext"]["runAsUser"] == ADA.uid
    web = {v["name"]: v["value"] for v in pod["spec"]["containers"][0]["env"]}
    assert web["SESSION_PREFIX"] == "/savu/user/ada/"


def test_manifest_of_a_named_server_has_its_own_name_and_prefix(
    configuration: Path,
    cluster: CheckedCluster,
    directory: dict[str, Identity],
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert (
        run("manifest", "--as-hub", "-f", str(configuration), "--user", "ada", "--server", "two")
        == 0
    )
    pod = yaml.safe_load(capsys.readouterr().out)
    web = {v["name"]: v["value"] for v in pod["spec"]["containers"][0]["env"]}
    assert web["SESSION_PREFIX"] == "/savu/user/ada/two/"
    assert pod["metadata"]["name"].startswith("jupyter-ada--two")


def test_manifest_holds_nothing_that_only_a_running_hub_knows(
    configuration: Path,
    cluster: CheckedCluster,
    directory: dict[str, Identity],
    capsys: pytest.CaptureFixture[str],
) -> None:
    run("manifest", "--as-hub", "-f", str(configuration), "--user", "ada")
    assert "JUPYTERHUB_" not in capsys.readouterr().out


def test_manifest_is_what_a_sites_hook_makes_of_it(
    configuration: Path,
    cluster: CheckedCluster,
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
    assert run("manifest", "--as-hub", "-f", str(configuration), "--user", "ada") == 0
    assert yaml.safe_load(capsys.readouterr().out)["metadata"]["labels"]["beamline"] == "i12"


def test_manifest_of_a_user_without_a_session_says_why(
    configuration: Path,
    cluster: CheckedCluster,
    directory: dict[str, Identity],
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run("manifest", "--as-hub", "-f", str(configuration), "--user", "nobody") == 1
    said = capsys.readouterr()
    assert "[account-not-found]" in said.err
    assert said.out == ""


def test_manifest_is_all_that_start_creates(
    configuration: Path,
    cluster: CheckedCluster,
    directory: dict[str, Identity],
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run("manifest", "-f", str(configuration), "--user", "ada") == 0
    secret, pod, service = yaml.safe_load_all(capsys.readouterr().out)
    assert [thing["kind"] for thing in (secret, pod, service)] == ["Secret", "Pod", "Service"]
    names = {thing["metadata"]["name"] for thing in (secret, pod, service)}
    assert names == {"savu-ada"}, "not the name of a hub's pod"
    labels = pod["metadata"]["labels"]
    assert labels["savu-spawner/maker"] == "cli"
    assert "savu-spawner/hub-id" not in labels
    assert "component" not in labels, "a hub's watches and network policies select by it"
    assert service["spec"]["selector"].items() <= labels.items()
    (port,) = service["spec"]["ports"]
    assert (service["spec"]["type"], port["port"], port["targetPort"]) == ("NodePort", 80, 8888)


def test_a_session_without_a_hub_has_its_key_in_the_gate_alone(
    configuration: Path,
    cluster: CheckedCluster,
    directory: dict[str, Identity],
    capsys: pytest.CaptureFixture[str],
) -> None:
    run("manifest", "-f", str(configuration), "--user", "ada")
    secret, pod, _ = yaml.safe_load_all(capsys.readouterr().out)
    (volume,) = [each["name"] for each in pod["spec"]["volumes"] if "secret" in each]
    for container in pod["spec"]["containers"]:
        mounted = volume in {mount["name"] for mount in container["volumeMounts"]}
        assert mounted == (container["name"] == "gate")
        env = {variable["name"]: variable["value"] for variable in container["env"]}
        assert not any(name.startswith(("JUPYTERHUB_", "JPY_")) for name in env)
        if container["name"] == "gate":
            assert env["GATE_LINK_KEY_FILE"]
        if container["name"] == "api":
            assert env["HUB_URL"] == ""
    assert secret["data"]["key"] not in str(pod)


def test_two_sessions_never_share_a_path(
    cluster: CheckedCluster, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = set()
    for _ in range(2):
        assert run("manifest", "--uid", "54321", "--gid", "54322") == 0
        _, pod, _ = yaml.safe_load_all(capsys.readouterr().out)
        paths.add(pod["metadata"]["annotations"]["savu-spawner/prefix"])
    assert len(paths) == 2


def test_without_a_configuration_a_sample_is_generated_in_the_pod(
    cluster: CheckedCluster, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("--uid", "54321", "--gid", "54322", "manifest", "--image", "api=my/api:1") == 0
    _, pod, _ = yaml.safe_load_all(capsys.readouterr().out)
    (sample,) = pod["spec"]["initContainers"]
    assert sample["image"] == "my/api:1"
    assert sample["command"][-1] == "/sample"
    volumes = {volume["name"]: volume for volume in pod["spec"]["volumes"]}
    assert volumes[sample["volumeMounts"][0]["name"]]["emptyDir"] == {}
    assert pod["spec"]["securityContext"]["runAsUser"] == 54321
    assert pod["spec"]["securityContext"]["runAsGroup"] == 54322


def test_data_is_a_folder_of_the_machines_at_its_own_path(
    cluster: CheckedCluster, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("manifest", "--uid", "54321", "--gid", "54322", "--data", "/dls/tmp/") == 0
    _, pod, _ = yaml.safe_load_all(capsys.readouterr().out)
    assert "initContainers" not in pod["spec"]
    sources = [v["hostPath"] for v in pod["spec"]["volumes"] if "hostPath" in v]
    assert sources == [{"path": "/dls/tmp", "type": "Directory"}]


# -- Whose session --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "status", "told"),
    [
        ((), 2, "Whose session?"),
        (("--user", "ada", "--uid", "54321"), 2, "not both"),
        (("--gid", "54321"), 2, "--gid goes with --uid"),
        (("--uid", "54321"), 1, "No account of this machine has the user ID 54321"),
        (("--uid", "0", "--gid", "0", "--allow-uid"), 1, "no session is run as root"),
        (("--uid", "54321", "--gid", "0"), 1, "Group ID 0"),
        (("--uid", "999", "--gid", "54321"), 1, "add --allow-uid"),
        (("--user", "ada"), 78, "There is no configuration that names a directory"),
        (("--uid", "54321", "--gid", "5", "--data", "here"), 2, "absolute path"),
        (("--usr", "ada"), 2, "There is no option --usr"),
        (("ada",), 2, "What is 'ada'?"),
    ],
)
def test_options_that_cannot_be_are_refused_in_words(
    cluster: CheckedCluster,
    arguments: tuple[str, ...],
    status: int,
    told: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run("manifest", *arguments) == status
    said = capsys.readouterr()
    assert told in said.err
    assert said.out == ""


def test_a_low_uid_is_taken_where_it_is_meant(
    cluster: CheckedCluster, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("manifest", "--uid", "999", "--gid", "54321", "--allow-uid") == 0
    assert "runAsUser: 999" in capsys.readouterr().out


@pytest.mark.parametrize("uid", [1, 999])
def test_low_uids_are_system_accounts(uid: int) -> None:
    check_uid(uid, 1000, allowed=True)
    with pytest.raises(AccountRefused):
        check_uid(uid, 1000, allowed=False)


def test_a_uid_alone_is_the_local_account_with_its_own_groups(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    account = pwd.struct_passwd(("Ada", "x", 54321, 41000, "Ada Lovelace,,,", "/", "/bin/sh"))
    monkeypatch.setattr("pwd.getpwuid", lambda uid: account)
    monkeypatch.setattr("os.getgrouplist", lambda name, gid: [gid, 41001, 0])
    identity = local_account(54321)
    assert (identity.name, identity.display_name, identity.uid) == ("ada", "Ada Lovelace", 54321)
    assert identity.group.gid == 41000, "never the number of the uid"
    assert identity.gids == (41001,), "root's group is never a session's"
    with_group = local_account(54321, 41005)
    assert (with_group.group.gid, with_group.gids) == (41005, ())


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("--uid 5 start", "start --uid 5"),
        ("start --uid 5", "start --uid 5"),
        ("--uid=5 --allow-uid start --replace", "start --uid=5 --allow-uid --replace"),
        ("--user start start", "start --user start"),
        ("-n x logs api -f", "logs -n x api -f"),
        ("--config start.py url --token", "url --config start.py --token"),
        ("-h", "-h"),
        ("begin start", "begin start"),
        ("-- start", "-- start"),
        ("", ""),
    ],
)
def test_options_may_stand_before_the_command(given: str, meant: str) -> None:
    assert command_first(given.split(), list(cli.COMMANDS)) == meant.split()


# -- What differs ---------------------------------------------------------------------------------


def test_a_running_session_is_compared_setting_by_setting() -> None:
    def pod(image: str, *volumes: str) -> dict[str, Any]:
        spec = {
            "containers": [{"name": "web", "image": "w"}, {"name": "api", "image": image}],
            "volumes": [{"name": name, "emptyDir": {}} for name in volumes],
        }
        annotations = {"savu-spawner/description": json.dumps(spec)}
        return {"metadata": {"annotations": annotations}, "spec": spec}

    assert differences(pod("a:1", "x", "y"), pod("a:1", "y", "x")) == []
    assert differences(pod("a:1", "x"), pod("a:2", "x", "z")) == [
        'containers[api].image: "a:1" → "a:2"',
        'volumes[z]: nothing → {"name": "z", "emptyDir": {}}',
    ]
    strange = {"metadata": {}, "spec": {}}
    assert differences(strange, pod("a:1")) == ["it was not described by this command"]


def test_a_machine_that_looks_for_the_key_too_early_is_no_failure() -> None:
    early = 'MountVolume.SetUp failed for volume "link-key" : secret "savu-ada" not found'
    missing = 'MountVolume.SetUp failed for volume "x" : secret "theirs" not found'
    assert is_about_key({"reason": "FailedMount", "message": early})
    assert not is_about_key({"reason": "FailedMount", "message": missing})


def test_status_is_a_table_that_a_person_reads() -> None:
    rows = [("USER", "AGE"), ("ada", "3 min")]
    assert table(rows) == "USER  AGE\nada   3 min"
    made = datetime(2026, 1, 1, tzinfo=UTC)
    spans = [(5, "5 s"), (61, "1 min"), (7200, "2 h"), (200000, "2 d"), (-3, "0 s")]
    for seconds, told in spans:
        assert age(made + timedelta(seconds=seconds), made) == told


# -- check ----------------------------------------------------------------------------------------


def test_check_of_a_sound_configuration_succeeds(
    configuration: Path,
    cluster: CheckedCluster,
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
    cluster: CheckedCluster,
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
    cluster: CheckedCluster,
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
    cluster: CheckedCluster,
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


@pytest.mark.parametrize(
    ("level", "kind", "run_as", "refused"),
    [
        ("privileged", "hostPath", "image", []),
        ("baseline", "nfs", "image", []),
        ("baseline", "hostPath", "user", ["/dls (hostPath)"]),
        ("restricted", "persistentVolumeClaim", "user", []),
        ("restricted", "csi", "user", []),
        ("restricted", "nfs", "user", ["/dls (nfs)"]),
        ("restricted", "hostPath", "image", ["/dls (hostPath)", 'run_as = "image"']),
    ],
)
def test_a_pod_security_standard_refuses_volumes_by_their_kind(
    level: str, kind: str, run_as: str, refused: list[str]
) -> None:
    assert refusals(level, [DataVolume("/dls", {kind: {}})], run_as) == refused


def test_check_says_what_the_namespaces_standard_refuses(
    configuration: Path,
    cluster: CheckedCluster,
    directory: dict[str, Identity],
    capsys: pytest.CaptureFixture[str],
) -> None:
    cluster.labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    check = ("check", "-f", str(configuration), "--user", "ada")
    assert run(*check) == 0
    configuration.write_text(PODS.replace("persistentVolumeClaim", "hostPath"))
    assert run(*check) == 1
    assert "restricted, which refuses /dls (hostPath)" in capsys.readouterr().out


def test_check_says_which_permission_is_missing(
    configuration: Path,
    cluster: CheckedCluster,
    directory: dict[str, Identity],
    capsys: pytest.CaptureFixture[str],
) -> None:
    check = ("check", "-f", str(configuration), "--user", "ada")
    cluster.forbidden = {"create secrets"}
    assert run(*check) == 0
    assert "“savu-spawner start” needs create secrets too" in capsys.readouterr().out
    cluster.forbidden = {"get pods/log", "delete pods"}
    assert run(*check) == 1
    said = capsys.readouterr().out
    assert "this account may not delete pods, get pods/log in namespace default" in said
    assert "→ bind it to a Role" in said


def test_check_tells_the_clusters_own_reason_for_refusing_the_pod(
    configuration: Path,
    cluster: CheckedCluster,
    directory: dict[str, Identity],
    capsys: pytest.CaptureFixture[str],
) -> None:
    cluster.refusal = "admission webhook says: no pods on Sundays"
    assert run("check", "-f", str(configuration), "--user", "ada") == 1
    assert "no pods on Sundays" in capsys.readouterr().out


def test_check_says_that_the_cluster_does_not_answer(
    configuration: Path,
    directory: dict[str, Identity],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with kubeconfig(tmp_path):
        assert run("check", "-f", str(configuration)) == 1
    said = capsys.readouterr().out
    assert "FAIL  cluster: http://127.0.0.1:9 cannot be reached" in said


@pytest.mark.parametrize(
    ("images", "verdict", "told"),
    [
        ("a:1 b:1 c:1 d:1", "ok", "1"),
        ("a@sha256:1 b@sha256:2 c@sha256:3 d@sha256:4", "ok", "by digest"),
        ("a:1 b:1 c:2 d:1", "note", "api 2"),
        ("host:5000/a b:1 c:1 d:1", "note", "web may be another image tomorrow"),
        ("a:latest b:1 c:1 d", "note", "web, dataserver"),
    ],
)
def test_check_looks_whether_images_belong_together(images: str, verdict: str, told: str) -> None:
    programs = ("web", "gate", "api", "dataserver")
    finding = coherence("images", dict(zip(programs, images.split(), strict=True)))
    assert finding.verdict == verdict
    assert told in finding.what


@pytest.mark.parametrize(
    ("image", "version"),
    [("a", ""), ("a:1", "1"), ("h:5/a", ""), ("h:5/a:2", "2"), ("a:1@sha256:f", "sha256:f")],
)
def test_an_images_version_is_its_digest_or_tag(image: str, version: str) -> None:
    assert version_of(image) == version


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
