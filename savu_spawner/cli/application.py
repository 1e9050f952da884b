"""What all commands have in common: their options, the configuration, how they end."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

import aiohttp
from kubernetes_asyncio.client.rest import ApiException
from kubernetes_asyncio.config import list_kube_config_contexts
from traitlets import Bool, Integer, Unicode
from traitlets.config import Application, Config
from traitlets.config.loader import KVArgParseConfigLoader

from savu_spawner._version import __version__
from savu_spawner.cli.cluster import Cluster, NoSuchSession
from savu_spawner.cli.configuration import (
    Misconfigured,
    configured_spawner,
    read_configuration,
    spawner_without_hub,
)
from savu_spawner.cluster import sentence_of
from savu_spawner.errors import SavuSpawnerError
from savu_spawner.session import SessionSpawner
from savu_spawner.spawner import SavuSpawner

FAILED = 1
USAGE = 2
DIFFERS = 3
"""A session runs already, and is not what was asked for."""
NO_SESSION = 4
UNAVAILABLE = 69
"""The cluster cannot be reached, or refuses."""
CONFIGURATION = 78


class Misused(Exception):
    """These options cannot be meant together; a sentence for whoever typed them."""


class _Strict(KVArgParseConfigLoader):
    """``stop --usr ada`` must not stop somebody else's session."""

    def _handle_unrecognized_alias(self, arg: str) -> None:
        raise Misused(f"There is no option --{arg}. See --help.")


COMMON_ALIASES: dict[Any, Any] = {
    "config": "Command.config_file",
    ("n", "namespace"): "Command.namespace",
}
WITH_FILE: dict[Any, Any] = {
    ("f", "config"): "Command.config_file",
    ("n", "namespace"): "Command.namespace",
}
WHO_ALIASES: dict[Any, Any] = {
    "user": "Command.user",
    "uid": "Command.uid",
    "server": "Command.server",
}


class Command(Application):
    """A command of ``savu-spawner``."""

    version = __version__
    words = 0
    """How many words may follow the options."""

    config_file = Unicode(
        "",
        help="""
        JupyterHub's configuration file: the one the hub is run with. Without this option there is
        no configuration, even if a file of that name is in the current folder.
        """,
    ).tag(config=True)

    namespace = Unicode(
        "",
        help="""
        Namespace of the session. Without this option the configuration's, else that of the
        kubeconfig's current context.
        """,
    ).tag(config=True)

    user = Unicode("", help="Login name of a user, as the directory has it.").tag(config=True)

    uid = Integer(
        -1,
        help="""
        User ID to run as, in place of --user. Group and supplementary groups are then those of
        this machine's account with that ID, if --gid does not say otherwise.
        """,
    ).tag(config=True)

    gid = Integer(-1, help="Group ID to run with, beside --uid: no other group is added then.").tag(
        config=True
    )

    allow_uid = Bool(
        False,
        help="Accept a user ID below c.AccountPolicy.minimum_uid (1000): a system account's.",
    ).tag(config=True)

    server = Unicode("", help="Name of a named server; empty for the default one.").tag(config=True)

    hub_config: Config

    # -- Configuration ----------------------------------------------------------------------------

    @property
    def configured(self) -> Path | None:
        """The configuration file, if there is one."""
        return Path(self.config_file) if self.config_file else None

    def load(self) -> type[SessionSpawner]:
        """Read the configuration; the spawner's class that it names. None: pods, and no more.

        Raises:
            Misconfigured: it cannot be read, or starts no sessions of Savu.
        """
        path = self.configured
        if path is None:
            self.hub_config = Config()
            return SavuSpawner
        self.hub_config = read_configuration(path)
        return configured_spawner(self.hub_config)

    def load_pods(self) -> type[SavuSpawner]:
        """As :meth:`load`, where only pods will do.

        Raises:
            Misconfigured: the configuration starts processes on the hub's machine.
        """
        spawner_class = self.load()
        if not issubclass(spawner_class, SavuSpawner):
            raise Misconfigured(
                f"{spawner_class.__name__} starts processes on the hub's machine, and no pods."
            )
        return spawner_class

    def spawner(
        self,
        spawner_class: type[SessionSpawner],
        name: str = "nobody",
        server: str = "",
        prefix: str = "",
    ) -> Any:
        """A spawner of this user, in the namespace that was asked for."""
        config = Config(self.hub_config)
        section = spawner_class.__name__
        if self.namespace:
            config[section].namespace = self.namespace
        elif not any("namespace" in config[name] for name in (section, "KubeSpawner")):
            context = current_namespace()
            if context and issubclass(spawner_class, SavuSpawner):
                config[section].namespace = context
        return spawner_without_hub(config, spawner_class, name, server, prefix)

    def cluster(self) -> Cluster:
        """The cluster that sessions are in, and their namespace."""
        spawner = self.spawner(self.load_pods())
        return Cluster(spawner.api, spawner.namespace)

    # -- Running ----------------------------------------------------------------------------------

    def _create_loader(self, argv: Any, aliases: Any, flags: Any, classes: Any) -> _Strict:
        return _Strict(argv, aliases, flags, classes=classes, log=self.log, subcommands=None)

    def parse_command_line(self, argv: list[str] | None = None) -> None:
        super().parse_command_line(argv)
        if len(self.extra_args) > self.words:
            raise Misused(f"What is {self.extra_args[self.words]!r}? See --help.")

    def start(self) -> NoReturn:
        """Run and exit with the command's status."""
        status = 0
        try:
            status = asyncio.run(self.run())
        except Misused as error:
            status = told(str(error), USAGE)
        except Misconfigured as error:
            status = told(str(error), CONFIGURATION)
        except NoSuchSession as error:
            status = told(str(error), NO_SESSION)
        except SavuSpawnerError as error:
            status = told(f"{error.log_message} [{error.reason}]", FAILED)
        except ApiException as error:
            status = told(f"The cluster refuses: {sentence_of(error)}", UNAVAILABLE)
        except (aiohttp.ClientError, TimeoutError) as error:
            why = str(error) or type(error).__name__
            status = told(f"The cluster cannot be reached: {why}", UNAVAILABLE)
        except KeyboardInterrupt:
            status = 130
        sys.exit(status)

    async def run(self) -> int:
        """The command; its exit status."""
        raise NotImplementedError


def told(text: str, status: int = 0) -> int:
    """Say something beside the command's output; ``status``."""
    print(text, file=sys.stderr, flush=True)
    return status


def current_namespace() -> str:
    """The namespace of the kubeconfig's current context; empty if it has none, or in a pod."""
    try:
        context: Any = list_kube_config_contexts()[1]
        return str(context["context"].get("namespace") or "")
    except Exception:
        return ""


def command_first(arguments: Sequence[str], commands: Sequence[str]) -> list[str]:
    """``arguments`` with the command in front, wherever it stood among the options.

    ``--uid 1000 start`` becomes ``start --uid 1000``. A word after an option that takes a value is
    that value, even if it is a command's name.
    """
    given = list(arguments)
    for index, word in enumerate(given):
        if word == "--":
            break
        if word.startswith("-") or (index and _takes_value(given[index - 1])):
            continue
        if word in commands:
            return [word, *given[:index], *given[index + 1 :]]
        break
    return given


FLAGS = frozenset({"--allow-uid", "--replace", "--token", "--follow", "--as-hub", "--keep"})


def _takes_value(word: str) -> bool:
    if not word.startswith("-") or "=" in word or word in FLAGS:
        return False
    return word not in {"-h", "--help", "--help-all", "--version", "--debug"}
