"""Routes: which plugins there are, and what each takes."""

from __future__ import annotations

from difflib import SequenceMatcher
from typing import Annotated, Final

from fastapi import APIRouter, Query

from savu_api.entries import Plugins, plugin_model
from savu_api.models import PluginModel
from savu_api.problems import Problem

ALIKE: Final = 0.75
"""How much of the shorter text has to be found in the longer one, as hebi searched."""


def router(plugins: Plugins) -> APIRouter:
    """The routes below ``/plugin``."""
    routes = APIRouter(prefix="/plugin", tags=["plugins"])

    @routes.get("", summary="Names of plugins")
    async def list_plugins(
        q: Annotated[
            str, Query(max_length=100, description="Part of a name or of what it is for.")
        ] = "",
    ) -> list[str]:
        """All names, or those like `q`, best first."""
        return search(plugins, q.strip())

    @routes.get("/{name}", summary="One plugin and its parameters")
    async def get_plugin(name: str) -> PluginModel:
        """Values are the defaults, as text."""
        plugin = plugins.get(name)
        if plugin is None:
            raise Problem(404, "no-such-plugin", f"No engine has a plugin {name[:100]!r}.")
        return plugin_model(plugin, plugins)

    return routes


def search(plugins: Plugins, text: str) -> list[str]:
    """Names that are like ``text``, best first; without text, all."""
    names = plugins.names()
    if not text:
        return names
    scored = [(_score(plugins, name, text.casefold()), name) for name in names]
    return [name for score, name in sorted(scored, key=lambda it: (-it[0], it[1])) if score > ALIKE]


def _score(plugins: Plugins, name: str, text: str) -> float:
    folded = name.casefold()
    if text in folded:
        return 3.0 if folded == text else 2.0
    plugin = plugins.get(name)
    if plugin is not None and text in f"{plugin.synopsis} {plugin.info}".casefold():
        return 1.0
    return partial_ratio(text, folded)


def partial_ratio(one: str, other: str) -> float:
    """How alike the shorter text and the most similar stretch of the longer one are: 0 to 1."""
    short, long = sorted((one, other), key=len)
    if not short:
        return 0.0
    matcher = SequenceMatcher(None, short, autojunk=False)
    best = 0.0
    for start in range(len(long) - len(short) + 1):
        matcher.set_seq2(long[start : start + len(short)])
        if matcher.real_quick_ratio() > best and matcher.quick_ratio() > best:
            best = max(best, matcher.ratio())
    return best
