"""Who computed a result: this engine and its libraries, never Savu."""

from __future__ import annotations

import platform
from collections.abc import Iterable, Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Final

from savu_format import __version__

from savu_builtin.catalogue import PLUGINS
from savu_builtin.citations import ALGOTOM

LIBRARIES: Final = ("algotom", "scikit-image", "scipy", "numpy", "numba", "h5py", "tifffile")

STATEMENT: Final = (
    "Computed by the built-in engine (savu_builtin) with algotom and scikit-image, not by Savu. "
    "Names of plugins and parameters, and the layout of the files, are Savu's."
)


def versions() -> dict[str, str]:
    """What computed: the engine, Python and the libraries."""
    found = {"savu_builtin": __version__, "python": platform.python_version()}
    for library in LIBRARIES:
        try:
            found[library] = version(library)
        except PackageNotFoundError:
            continue
    return found


def sentence() -> str:
    """One line for the log."""
    found = ", ".join(f"{name} {number}" for name, number in versions().items())
    return f"{STATEMENT} Versions: {found}."


def citations(plugins: Iterable[str]) -> list[Mapping[str, str]]:
    """What a run of these plugins is to cite, each once; the software last."""
    found: dict[str, Mapping[str, str]] = {}
    for plugin in plugins:
        for citation in PLUGINS.get(plugin, {}).get("citations", ()):
            if citation["doi"] != ALGOTOM.doi:
                found.setdefault(citation["doi"], citation)
    return [*found.values(), ALGOTOM.mapping()]


def citations_text(plugins: Iterable[str]) -> str:
    """The file ``citations.txt``."""
    cited = citations(plugins)
    parts = [
        "DESCRIPTION",
        STATEMENT,
        *(f"{citation['description']} {citation['citation']}." for citation in cited),
        "",
        "BIBTEX",
        "\n\n".join(citation["bibtex"] for citation in cited),
        "",
        "ENDNOTE",
        "\n\n".join(citation["endnote"] for citation in cited),
    ]
    return "\n".join(parts) + "\n"
