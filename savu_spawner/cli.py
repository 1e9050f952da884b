"""``savu-spawner``: look at a hub's configuration without running the hub.

It reads the same file and uses the same classes as the hub. What can be asked today is ``check``
and ``manifest``.
"""

from __future__ import annotations

import asyncio
import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, Literal, NoReturn

import yaml  # type: ignore[import-untyped, unused-ignore]
from jupyterhub import orm
from jupyterhub.objects import Hub, Server
from jupyterhub.user import User
from jupyterhub.utils import maybe_future, url_path_join
from kubernetes_asyncio.config import ConfigException
from sqlalchemy import create_engine
from sqlalchemy.orm import sessionmaker
from sqlalchemy.pool import StaticPool
from traitlets import TraitError, Unicode
from traitlets.config import Application, Config
from traitlets.config.loader import PyFileConfigLoader
from traitlets.utils.importstring import import_item

from savu_spawner._version import __version__
from savu_spawner.cluster import serialized
from savu_spawner.contract import HUB_VARIABLES, PACKAGES, PROGRAMS
from savu_spawner.directory import LdapDirectory
from savu_spawner.errors import AccountError, SavuSpawnerError
from savu_spawner.identity import AccountPolicy, Identity
from savu_spawner.local import LocalSavuSpawner
from savu_spawner.local_session import Account
from savu_spawner.session import SessionSpawner
from savu_spawner.spawner import SavuSpawner

EX_CONFIG = 78
SYSTEM_PROGRAMS = "/usr/local/sbin:/usr/sbin:/sbin"
NOBODY = "savu-spawner-check"
"""A name that no account has: the answer to it shows that a directory answers."""


class Misconfigured(Exception):
    """The configuration cannot even be read; a sentence for the administrator."""


# -- From a configuration to a spawner ------------------------------------------------------------


def read_configuration(path: Path) -> Config:
    """A JupyterHub configuration file, as JupyterHub reads it.

    Raises:
        Misconfigured: there is none, or it fails.
    """
    if not path.is_file():
        raise Misconfigured(f"There is no configuration file {path}: name it with -f.")
    try:
        config: Config = PyFileConfigLoader(path.name, str(path.resolve().parent)).load_config()
    except Exception as error:
        raise Misconfigured(f"{path} fails: {type(error).__name__}: {error}") from None
    return config


def configured_spawner(config: Config) -> type[SessionSpawner]:
    """The class that ``c.JupyterHub.spawner_class`` means.

    Raises:
        Misconfigured: it is none of this package's.
    """
    named = config.JupyterHub.get("spawner_class", "jupyterhub.spawner.LocalProcessSpawner")
    found = named
    if isinstance(named, str):
        (entry,) = entry_points(group="jupyterhub.spawners", name=named) or (None,)
        try:
            found = entry.load() if entry else import_item(named)
        except ImportError as error:
            raise Misconfigured(f"c.JupyterHub.spawner_class {named!r}: {error}") from None
    if not (isinstance(found, type) and issubclass(found, SessionSpawner)):
        raise Misconfigured(
            f"c.JupyterHub.spawner_class is {named!r}, which starts no sessions of Savu:"
            ' set it to "savu" (pods) or "savu-local" (processes on this machine).'
        )
    return found


def spawner_without_hub(
    config: Config, spawner_class: type[SessionSpawner], name: str, server: str = ""
) -> Any:
    """The spawner of one server of one user, in a database in memory; needs a running loop.

    Raises:
        Misconfigured: a trait refuses its value, or there is no cluster to make pods for.
    """
    # One connection, whichever thread the garbage collector runs in.
    engine = create_engine(
        "sqlite://", connect_args={"check_same_thread": False}, poolclass=StaticPool
    )
    orm.Base.metadata.create_all(engine)
    db = sessionmaker(bind=engine)()
    base_url = config.JupyterHub.get("base_url", "/")
    account = orm.User(name=name)
    address = orm.Server(base_url=url_path_join(base_url, "user", name, server, "/"))
    db.add_all([account, address, orm.Spawner(name=server, user=account)])
    db.commit()
    hub = Hub(ip="hub", port=8081, base_url=url_path_join(base_url, "hub", "/"))
    user = User(account, {"config": config, "hub": hub})
    try:
        spawner = user._new_spawner(server, spawner_class=spawner_class)
    except TraitError as error:
        raise Misconfigured(f"{spawner_class.__name__}: {error}") from None
    except ConfigException as error:
        raise Misconfigured(
            f"There is no cluster to make pods for ({str(error).rstrip('.')}):"
            " set KUBECONFIG, or run this in a pod."
        ) from None
    spawner.server = Server(orm_server=address)
    return spawner


# -- Checks ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Finding:
    """One line of ``check``."""

    verdict: Literal["ok", "note", "FAIL"]
    what: str
    mend: str = ""

    def __str__(self) -> str:
        return f"{self.verdict:<5} {self.what}" + (f"\n      → {self.mend}" if self.mend else "")


async def check_directory(directory: LdapDirectory) -> Finding:
    """Whether the directory answers at all."""
    try:
        await directory.identity(NOBODY)
    except AccountError:
        pass
    except SavuSpawnerError as error:
        return Finding(
            "FAIL",
            f"directory: {error.log_message}",
            "look at c.LdapDirectory (servers, tls, ca_file, bind_dn), and at the network",
        )
    return Finding("ok", f"directory: {', '.join(directory.servers)} answers")


async def check_user(
    directory: LdapDirectory, policy: AccountPolicy, name: str
) -> tuple[Identity | None, list[Finding]]:
    """Who the directory says that ``name`` is, and whether the policy lets them in."""
    try:
        identity = await directory.identity(name)
    except SavuSpawnerError as error:
        return None, [Finding("FAIL", f"user {name}: {error.log_message} [{error.reason}]")]
    groups = ", ".join(f"{group.name} ({group.gid})" for group in identity.groups) or "none"
    found = Finding(
        "ok",
        f"user {identity.name}: {identity.display_name}, uid {identity.uid},"
        f" group {identity.group.name} ({identity.group.gid}), further groups {groups}",
    )
    try:
        policy.check(identity)
    except SavuSpawnerError as error:
        refused = Finding(
            "FAIL",
            f"user {name} gets no session: {error.log_message} [{error.reason}]",
            "look at c.AccountPolicy, or at the account's groups",
        )
        return None, [found, refused]
    return identity, [found]


def check_data_roots(
    roots: Iterable[str], identity: Identity | None, *, on_this_machine: bool
) -> Iterator[Finding]:
    """Whether the folders are there, and what the user may do in them."""
    roots = list(roots)
    if not roots:
        yield Finding("FAIL", "data: no folder is configured", "set data_roots")
    for root in roots:
        if not Path(root).is_dir():
            if on_this_machine:
                yield Finding("FAIL", f"data: {root} is not a folder", "look at data_roots")
            else:
                yield Finding("note", f"data: {root} is not on this machine: not looked at")
        elif identity is None:
            yield Finding("ok", f"data: {root} is there")
        else:
            yield _access(root, identity)


def _access(root: str, identity: Identity) -> Finding:
    """What the kernel lets this user do in a folder, access control lists and all."""
    become: dict[str, Any] = {}
    if os.geteuid() == 0:
        become = {
            "user": identity.uid,
            "group": identity.group.gid,
            "extra_groups": list(identity.gids),
        }
    elif os.geteuid() != identity.uid:
        return Finding(
            "note", f"data: {root} is there; as root this could see what the user may do"
        )
    can = [
        word
        for word, test in (("read", '-r "$1" -a -x "$1"'), ("write", '-w "$1"'))
        if subprocess.run(
            ["/bin/sh", "-c", f"test {test}", "check", root], cwd="/", **become
        ).returncode
        == 0
    ]
    if "read" not in can:
        return Finding(
            "FAIL",
            f"data: {identity.name} may not read {root}",
            "look at the owner, groups and mode of it and of the folders above",
        )
    return Finding("ok", f"data: {identity.name} may {' and '.join(can)} {root} itself")


def check_local(spawner: LocalSavuSpawner) -> Iterator[Finding]:
    """What sessions on this machine need of it."""
    for program in PROGRAMS:
        command = spawner.program_commands.get(program)
        if command:
            found, what = bool(shutil.which(command[0])), command[0]
        else:
            what = PACKAGES[program]
            found = importlib.util.find_spec(what) is not None
        yield _need(found, f"program {program}: {what}", f"install {what} beside this package")
    nginx = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:{SYSTEM_PROGRAMS}")
    yield _need(bool(nginx), f"nginx: {nginx or 'not found'}", "apt install nginx-light")
    yield from check_savu(spawner, "c.LocalSavuSpawner.savu_python")
    if os.geteuid() != 0:
        yield _need(
            spawner.allow_shared_identity,
            "identity: the hub is not root, sessions run as its own user",
            "run the hub as root, or set c.LocalSavuSpawner.allow_shared_identity to try it out",
        )
        return
    try:
        Account.parse(spawner.service_account)
    except ValueError as error:
        yield Finding(
            "FAIL",
            f"c.LocalSavuSpawner.service_account: {error}",
            "make one: useradd --system --no-create-home savu-web",
        )
    else:
        yield Finding("ok", f"web and gate run as {spawner.service_account}")


def check_savu(spawner: SessionSpawner, trait: str) -> Iterator[Finding]:
    """Whether Savu's interpreter is there, if its engine is offered."""
    if "savu" in spawner.engines:
        python = spawner.savu_python
        found = bool(python) and os.access(python, os.X_OK)
        yield _need(found, f"engine savu: {python or 'no interpreter'}", f"set {trait}")


async def check_pod(spawner: SavuSpawner, identity: Identity | None) -> list[Finding]:
    """Whether a pod can be made of the configuration, and what it will not give."""
    if identity is None:
        sentences = spawner.contradictions()
        return [Finding("FAIL", f"pod: {sentence}") for sentence in sentences] or [
            Finding("note", "pod: name a user with --user to see whether a pod can be made")
        ]
    spawner.identity = identity
    try:
        await spawner.get_pod_manifest()
    except SavuSpawnerError as error:
        return [Finding("FAIL", f"pod: {error.log_message}", "look at c.SavuSpawner")]
    return [Finding("ok", "pod: can be made"), *_notes(spawner)]


def _notes(spawner: SavuSpawner) -> Iterator[Finding]:
    if not spawner.state_dir:
        yield Finding("note", "state_dir is empty: lists of jobs end with their session")
    if spawner.run_as == "image":
        yield Finding("note", "run_as is image: refused by the restricted pod security standard")
    for described in spawner.data_volumes:
        path, (kind,) = described["mountPath"], described["volume"]
        if kind in ("hostPath", "nfs"):
            yield Finding(
                "note", f"{path} is {kind}: the restricted pod security standard refuses it"
            )
        if described.get("mountPropagation"):
            yield Finding(
                "note",
                f"{path} has mountPropagation: what is mounted below it later is kept from"
                " dataserver's writing by file permissions alone",
            )
        if described.get("subPath") and kind == "nfs":
            yield Finding(
                "note", f"{path} has subPath on nfs: fails where root is mapped to nobody"
            )


def _need(there: bool, what: str, mend: str) -> Finding:
    return Finding("ok", what) if there else Finding("FAIL", what, mend)


# -- The application ------------------------------------------------------------------------------


class ConfiguredApplication(Application):
    """A command that reads the hub's configuration file."""

    version = __version__

    config_file = Unicode(
        "jupyterhub_config.py", help="JupyterHub's configuration file: the one the hub is run with."
    ).tag(config=True)

    user = Unicode("", help="Login name of a user, as the directory has it.").tag(config=True)

    server = Unicode("", help="Name of a named server; empty for the default one.").tag(config=True)

    hub_config: Config

    def load(self) -> type[SessionSpawner]:
        """Read the configuration; the spawner's class that it names."""
        self.hub_config = read_configuration(Path(self.config_file))
        return configured_spawner(self.hub_config)

    def start(self) -> NoReturn:
        """Run and exit with the command's status."""
        try:
            status = asyncio.run(self.run())
        except Misconfigured as error:
            print(error, file=sys.stderr)
            status = EX_CONFIG
        except SavuSpawnerError as error:
            print(f"{error.log_message} [{error.reason}]", file=sys.stderr)
            status = 1
        sys.exit(status)

    async def run(self) -> int:
        """The command; its exit status."""
        raise NotImplementedError


class Check(ConfiguredApplication):
    """Whether sessions could be started, without starting one.

    Asks the directory, and looks at what the configuration names on this machine. Prints a line for
    each thing, with the mend below it where something is wrong; the exit status is 0 if nothing is,
    1 if something is, 78 if the configuration cannot be read.

    The cluster itself is not asked.
    """

    name = "savu-spawner check"
    description = __doc__
    examples = """
        savu-spawner check -f /etc/jupyterhub/jupyterhub_config.py
        savu-spawner check -f jupyterhub_config.py --user yco10151
    """
    aliases: dict[Any, Any] = {  # noqa: RUF012
        ("f", "config"): "ConfiguredApplication.config_file",
        "user": "ConfiguredApplication.user",
    }

    async def run(self) -> int:
        failed = False
        async for finding in self.findings():
            print(finding, flush=True)
            failed = failed or finding.verdict == "FAIL"
        return 1 if failed else 0

    async def findings(self) -> Any:
        """Each line, as soon as it is known."""
        spawner_class = self.load()
        yield Finding("ok", f"configuration: {self.config_file} ({spawner_class.__name__})")
        try:
            directory = LdapDirectory(config=self.hub_config)
            policy = AccountPolicy(config=self.hub_config)
        except (TraitError, ValueError) as error:
            raise Misconfigured(f"{self.config_file}: {error}") from None
        identity = None
        answers = await check_directory(directory)
        yield answers
        if self.user and answers.verdict == "ok":
            identity, findings = await check_user(directory, policy, self.user)
            for finding in findings:
                yield finding
        await directory.close()
        try:
            spawner = spawner_without_hub(self.hub_config, spawner_class, self.user or "nobody")
        except Misconfigured as error:
            yield Finding("FAIL", str(error))
            return
        local = isinstance(spawner, LocalSavuSpawner)
        if not policy.support_contact:
            yield Finding("note", "c.AccountPolicy.support_contact is empty: users ask nobody")
        try:
            roots = list(spawner.data_roots)
        except ValueError as error:
            yield Finding("FAIL", f"data: {error}", "look at c.SavuSpawner.data_volumes")
            return
        for finding in check_data_roots(roots, identity, on_this_machine=local):
            yield finding
        for finding in check_local(spawner) if local else await check_pod(spawner, identity):
            yield finding


class Manifest(ConfiguredApplication):
    """The pod of a user's session as YAML, as the hub would send it.

    The directory is asked who the user is; nothing is started. What JupyterHub gives to the gate
    when it starts a session (its token among it) is left out: a pod that is applied from this shows
    whether the cluster takes it, and its gate does not let anybody in.
    """

    name = "savu-spawner manifest"
    description = __doc__
    examples = """
        savu-spawner manifest --user yco10151 > pod.yaml
        savu-spawner manifest --user yco10151 | kubectl apply --dry-run=server -f -
    """
    aliases: dict[Any, Any] = {  # noqa: RUF012
        ("f", "config"): "ConfiguredApplication.config_file",
        "user": "ConfiguredApplication.user",
        "server": "ConfiguredApplication.server",
    }

    async def run(self) -> int:
        if not self.user:
            raise Misconfigured("Whose pod? Name the user with --user.")
        spawner_class = self.load()
        if not issubclass(spawner_class, SavuSpawner):
            raise Misconfigured(f"{spawner_class.__name__} makes no pods.")
        spawner = spawner_without_hub(self.hub_config, spawner_class, self.user, self.server)
        # Applied by hand, it is nobody's that a hub's caretaker would remove.
        spawner.made_by_hub = False
        spawner.directory = LdapDirectory(config=self.hub_config)
        spawner.policy = AccountPolicy(config=self.hub_config)
        await spawner.load_user_options()
        pod = await spawner.get_pod_manifest()
        if spawner.modify_pod_hook:
            pod = await maybe_future(spawner.modify_pod_hook(spawner, pod))
        await spawner.directory.close()
        print(yaml.safe_dump(without_hub_variables(serialized(pod)), sort_keys=False), end="")
        return 0


def without_hub_variables(pod: dict[str, Any]) -> dict[str, Any]:
    """``pod`` without what only a running hub can know."""
    for container in pod["spec"]["containers"]:
        container["env"] = [
            variable
            for variable in container.get("env", [])
            if not variable["name"].startswith(HUB_VARIABLES)
        ]
    return pod


class SavuSpawnerApplication(Application):
    """Looks at the configuration of a JupyterHub that starts sessions of Savu."""

    name = "savu-spawner"
    version = __version__
    description = __doc__
    subcommands: dict[str, tuple[Callable[..., Any], str]] = {  # noqa: RUF012
        "check": (Check, "Whether sessions could be started: directory, a user, data, programs."),
        "manifest": (Manifest, "The pod of a user's session, as YAML for kubectl."),
    }

    def start(self) -> None:
        """Run the subcommand; without one say what there is, and fail."""
        if self.subapp is None:
            self.print_help()
            sys.exit(2)
        self.subapp.start()


def main() -> None:
    """Run as a program."""
    SavuSpawnerApplication.launch_instance()


if __name__ == "__main__":
    main()
