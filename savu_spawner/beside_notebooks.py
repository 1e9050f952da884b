"""Savu beside the notebooks of a hub that has them: a choice on the spawn page."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from kubespawner import KubeSpawner
from traitlets import Enum

from savu_spawner.spawner import SavuSpawner

FROM_THE_HUB = (
    "api_token",
    "admin_access",
    "handler",
    "user_options",
    "cert_paths",
    "start_timeout",
)
"""What JupyterHub gives the spawner that it knows before each start."""


class SavuOrNotebookSpawner(KubeSpawner):  # type: ignore[misc]
    """Starts notebooks as KubeSpawner does, and sessions of Savu where the profile says so.

    For notebooks it is KubeSpawner, with the configuration that the hub has already. For a profile
    with ``"kubespawner_override": {"starts": "savu"}`` it makes a SavuSpawner, with
    ``c.SavuSpawner``'s configuration, and passes to it whatever JupyterHub asks from then on::

        c.JupyterHub.spawner_class = "savu_spawner.beside_notebooks.SavuOrNotebookSpawner"
        c.KubeSpawner.profile_list = [
            {"display_name": "Notebook", "default": True},
            {"display_name": "Savu", "kubespawner_override": {"starts": "savu"}},
        ]
    """

    starts = Enum(
        ["notebook", "savu"], "notebook", help="What is started; for profiles, not for a file."
    )

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.savu: SavuSpawner | None = None
        """The spawner of the session, where it is one that runs or ran last."""
        self._decided = asyncio.Event()

    @property
    def ended(self) -> dict[str, str] | None:
        """How the last session of Savu ended, for the hub's pages."""
        return self.savu.ended if self.savu else None

    async def start(self) -> str:
        """Start what the chosen profile says.

        Returns:
            The URL at which it is served.
        """
        try:
            self.starts = "notebook"
            # KubeSpawner will do so again: what a profile sets, it sets to the same.
            await self.load_user_options()
            self.savu = self._savu_spawner() if self.starts == "savu" else None
        finally:
            self._decided.set()
        return str(await (self.savu.start() if self.savu else super().start()))

    async def stop(self, now: bool = False) -> None:
        await (self.savu.stop(now) if self.savu else super().stop(now))

    async def poll(self) -> int | None:
        code: int | None = await (self.savu.poll() if self.savu else super().poll())
        return code

    async def get_url(self) -> str:
        return str(await (self.savu.get_url() if self.savu else super().get_url()))

    async def progress(self) -> AsyncIterator[dict[str, Any]]:
        # A page may ask before the profile has been read.
        await self._decided.wait()
        async for event in self.savu.progress() if self.savu else super().progress():
            yield event

    def get_state(self) -> dict[str, Any]:
        state: dict[str, Any] = self.savu.get_state() if self.savu else super().get_state()
        return state | ({"starts": "savu"} if self.savu else {})

    def load_state(self, state: dict[str, Any]) -> None:
        super().load_state(state)
        if state.get("starts") == "savu":
            self.savu = self._savu_spawner()

    def clear_state(self) -> None:
        super().clear_state()
        if self.savu:
            self.savu.clear_state()

    def _savu_spawner(self) -> SavuSpawner:
        # Made as JupyterHub makes its spawners, with the state that is in its database.
        spawner: SavuSpawner = self.user._new_spawner(self.name, spawner_class=SavuSpawner)
        for name in FROM_THE_HUB:
            setattr(spawner, name, getattr(self, name))
        return spawner
