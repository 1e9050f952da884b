"""``savu-spawner check``."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from savu_spawner.cli.application import FAILED, WITH_FILE, Command
from savu_spawner.cli.checks.cluster import check_cluster, dry_run
from savu_spawner.cli.checks.data import check_data_roots
from savu_spawner.cli.checks.directory import check_directory, check_user
from savu_spawner.cli.checks.finding import Finding
from savu_spawner.cli.checks.machine import check_local
from savu_spawner.cli.checks.pod import check_images, check_pod
from savu_spawner.cli.configuration import Misconfigured
from savu_spawner.cli.who import configured_directory, configured_policy
from savu_spawner.identity import Identity
from savu_spawner.local import LocalSavuSpawner
from savu_spawner.pod import DataVolume


class Check(Command):
    """Whether sessions could be started, without starting one.

    Asks the directory and the cluster, and looks at what the configuration names on this machine:
    the API server and what this account may do there, the namespace's pod security standard, the
    images, the data volumes. With --user also who the directory says that is or why there is no
    session for them, what of the data roots they may read (of those that are on this machine), and
    whether the cluster would take their pod. Prints a line for each thing, with the mend below it
    where something is wrong.

    The exit status is 0 if nothing is wrong, 1 if something is, 78 if the configuration cannot be
    read.
    """

    name = "savu-spawner check"
    description = __doc__
    examples = """
        savu-spawner check -f /etc/jupyterhub/jupyterhub_config.py
        savu-spawner check -f jupyterhub_config.py --user yco10151
    """
    aliases: dict[Any, Any] = {**WITH_FILE, "user": "Command.user"}  # noqa: RUF012

    async def run(self) -> int:
        failed = False
        async for finding in self.findings():
            print(finding, flush=True)
            failed = failed or finding.verdict == "FAIL"
        return FAILED if failed else 0

    async def findings(self) -> AsyncIterator[Finding]:
        """Each line, as soon as it is known."""
        spawner_class = self.load()
        if self.configured:
            yield Finding("ok", f"configuration: {self.configured} ({spawner_class.__name__})")
        else:
            yield Finding(
                "note", "configuration: none, sessions show a sample scan; name it with --config"
            )
        identity = None
        if self.configured or self.user:
            identity, found = await self.ask_directory()
            for finding in found:
                yield finding
        try:
            spawner = self.spawner(spawner_class, self.user or "nobody")
        except Misconfigured as error:
            yield Finding("FAIL", str(error))
            return
        policy = configured_policy(self.hub_config)
        if not policy.support_contact:
            yield Finding("note", "c.AccountPolicy.support_contact is empty: users ask nobody")
        local = isinstance(spawner, LocalSavuSpawner)
        if self.configured:
            try:
                roots = list(spawner.data_roots)
            except ValueError as error:
                yield Finding("FAIL", f"data: {error}", "look at c.SavuSpawner.data_volumes")
                return
            for finding in check_data_roots(roots, identity, on_this_machine=local):
                yield finding
        if local:
            for finding in check_local(spawner):
                yield finding
            return
        for finding in check_images(spawner):
            yield finding
        made = await check_pod(spawner, identity)
        for finding in made:
            yield finding
        volumes = [DataVolume.parse(described) for described in spawner.data_volumes]
        reached = True
        async for finding in check_cluster(spawner, volumes):
            reached = reached and finding.verdict != "FAIL"
            yield finding
        if identity and reached and not any(each.verdict == "FAIL" for each in made):
            yield await dry_run(spawner, await spawner.get_pod_manifest())

    async def ask_directory(self) -> tuple[Identity | None, list[Finding]]:
        """Whether it answers, and about the user who is named."""
        policy = configured_policy(self.hub_config)
        try:
            directory = configured_directory(self.hub_config)
        except Misconfigured as error:
            return None, [Finding("FAIL", f"directory: {error}", "look at c.LdapDirectory")]
        try:
            answers = await check_directory(directory)
            if not self.user or answers.verdict != "ok":
                return None, [answers]
            identity, found = await check_user(directory, policy, self.user)
            return identity, [answers, *found]
        finally:
            await directory.close()
