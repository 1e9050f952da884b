"""As whom a session's programs run, shown by reading and writing."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from kubernetes_asyncio.client import ApiClient, CoreV1Api

from savu_spawner.spawner import SavuSpawner
from tests.cluster.conftest import TestCluster
from tests.cluster.sessions import GRACE, Sessions, first_process, run_in
from tests.support.identities import ADA
from tests.support.needs import missing

VISIT_GROUP = ADA.groups[0].gid


@pytest.fixture
def visit(cluster: TestCluster, data: Path) -> Path:
    """A visit's folder: its group's, closed to others, new files in its group."""
    if cluster.driver is None:
        missing("needs a cluster on this machine, whose nodes see its folders")
    folder = data / "cm10001-1"
    folder.mkdir()
    os.chown(folder, 0, VISIT_GROUP)
    folder.chmod(0o2770)
    scan = folder / "scan.nxs"
    scan.write_text("data")
    os.chown(scan, 0, VISIT_GROUP)
    scan.chmod(0o640)
    return folder


async def test_programs_of_the_user_are_the_user_by_name(
    sessions: Sessions, cluster: TestCluster
) -> None:
    spawner = sessions.spawner()
    await spawner.start()
    for program in ("api", "dataserver"):
        said = await run_in(cluster.kubeconfig, spawner, program, "id")
        assert "uid=37001(ada)" in said
        assert "gid=37001(ada)" in said
        assert f"{VISIT_GROUP}(cm10001_1)" in said
        assert "41002(i12_staff)" in said
    for program in ("web", "gate"):
        said = await run_in(cluster.kubeconfig, spawner, program, "id -u; id -g")
        assert said.split() == ["64180", "64180"]


async def test_the_file_system_decides_what_a_session_reads_and_writes(
    sessions: Sessions, cluster: TestCluster, visit: Path
) -> None:
    ada, grace = sessions.spawner(), sessions.spawner(GRACE)
    await ada.start()
    await grace.start()
    kubeconfig = cluster.kubeconfig
    assert await run_in(kubeconfig, ada, "api", f"cat {visit}/scan.nxs") == "data"
    assert await run_in(kubeconfig, ada, "dataserver", f"cat {visit}/scan.nxs") == "data"
    await run_in(kubeconfig, ada, "api", f"umask 0002; echo made > {visit}/made")
    made = (visit / "made").stat()
    assert (made.st_uid, made.st_gid, made.st_mode & 0o777) == (ADA.uid, VISIT_GROUP, 0o664)
    refusal = await run_in(kubeconfig, grace, "api", f"cat {visit}/scan.nxs")
    assert "Permission denied" in refusal
    refusal = await run_in(kubeconfig, grace, "api", f"echo x > {visit}/made")
    assert "ermission denied" in refusal


async def test_data_can_be_written_in_api_and_nowhere_else(
    sessions: Sessions, cluster: TestCluster, visit: Path
) -> None:
    spawner = sessions.spawner()
    await spawner.start()
    attempt = f"echo x > {visit}/attempt"
    assert "Read-only file system" in await run_in(
        cluster.kubeconfig, spawner, "dataserver", attempt
    )
    for program in ("web", "gate"):
        said = await run_in(cluster.kubeconfig, spawner, program, f"ls {visit}")
        assert "No such file" in said
    assert await run_in(cluster.kubeconfig, spawner, "api", attempt) == ""


async def test_root_file_systems_are_read_only_but_for_the_few_places(
    sessions: Sessions, cluster: TestCluster
) -> None:
    spawner = sessions.spawner()
    await spawner.start()
    for program in ("web", "gate", "api", "dataserver"):
        said = await run_in(cluster.kubeconfig, spawner, program, "echo x > /opt/savu/x")
        assert "Read-only file system" in said or "Permission denied" in said
    places = 'for place in "$HOME" "$TMPDIR"; do echo x > "$place/x" && echo wrote; done'
    for program in ("api", "dataserver"):
        assert (await run_in(cluster.kubeconfig, spawner, program, places)).split() == ["wrote"] * 2


async def test_the_hubs_token_is_in_gate_alone_and_no_account_of_the_cluster_is_anywhere(
    sessions: Sessions, cluster: TestCluster, kubernetes: ApiClient
) -> None:
    spawner = sessions.spawner()
    await spawner.start()
    look = "env | grep -c JUPYTERHUB_API_TOKEN; ls /var/run/secrets 2>&1"
    for program in ("web", "gate", "api", "dataserver"):
        said = await run_in(cluster.kubeconfig, spawner, program, look)
        assert said.split()[0] == ("1" if program == "gate" else "0")
        assert "No such file" in said
    pod = await CoreV1Api(kubernetes).read_namespaced_pod(spawner.pod_name, spawner.namespace)
    assert pod.spec.automount_service_account_token is False


async def test_api_cannot_take_the_place_of_the_gate(
    sessions: Sessions, cluster: TestCluster
) -> None:
    spawner = sessions.spawner()
    await spawner.start()
    said = await run_in(cluster.kubeconfig, spawner, "api", "ls /run/savu; ls /run/savu/gate 2>&1")
    assert "No such file" in said
    others = "for n in /proc/[0-9]*; do cat $n/comm; done"
    processes = await run_in(cluster.kubeconfig, spawner, "api", others)
    assert "nginx" not in processes


async def test_an_image_that_takes_the_identity_itself_can_do_so(
    sessions: Sessions, kubernetes: ApiClient
) -> None:
    def hook(spawner: SavuSpawner, pod: Any) -> Any:
        (api,) = (each for each in pod.spec.containers if each["name"] == "api")
        take = "exec setpriv --reuid=$PUID --regid=$PGID --clear-groups sleep 600"
        api["command"] = ["/bin/sh", "-c", take]
        api["readinessProbe"] = {"exec": {"command": ["/bin/true"]}, "periodSeconds": 1}
        return pod

    spawner = sessions.spawner(run_as="image", modify_pod_hook=hook)
    await spawner.start()
    status = Path(f"/proc/{await first_process(kubernetes, spawner, 'api')}/status").read_text()
    ids = dict(line.split(":", 1) for line in status.splitlines())
    assert set(ids["Uid"].split()) == {str(ADA.uid)}
    assert set(ids["Gid"].split()) == {str(ADA.group.gid)}
