"""A small catalogue of plugins, as Savu's interpreter exports it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

CITATION = {
    "citation": "The FBP paper",
    "description": "The reconstruction used",
    "doi": "10.1000/fbp",
    "endnote": "%A Somebody",
    "bibtex": "@article{fbp}",
}


def _parameter(name: str, dtype: str, default: Any, **more: Any) -> dict[str, Any]:
    summary = {"description": {"summary": f"What {name} is"}, "visibility": "basic"}
    return {"name": name, "dtype": dtype, "default": default} | summary | more


CATALOGUE: dict[str, Any] = {
    "engine": "savu",
    "version": "4.2",
    "plugins": {
        "NxtomoLoader": {
            "id": "savu.plugins.loaders.full_field_loaders.nxtomo_loader",
            "info": "A class for loading standard tomography data",
            "synopsis": "Loads tomography data in the NXtomo format",
            "parameters": [
                _parameter("preview", "[preview, dict{str:preview}, dict{}]", []),
                _parameter("data_path", "h5path", "entry1/tomo_entry/data/data"),
                _parameter(
                    "dark",
                    "[list[filepath, h5path, float], list[None, None, float]]",
                    ["None", "None", 1.0],
                ),
                _parameter("angles", "[None, str, list[float]]", None),
                _parameter("3d_to_4d", "bool", False, visibility="advanced"),
            ],
        },
        "AstraReconCpu": {
            "id": "savu.plugins.reconstructions.astra_recons.astra_recon_cpu",
            "synopsis": "Wrapper around the Astra toolbox",
            "citations": [CITATION],
            "parameters": [
                _parameter(
                    "algorithm",
                    "str",
                    "FBP",
                    options=[["FBP", "Filtered Backprojection Method"], ["SIRT", "Iterative"]],
                ),
                _parameter("n_iterations", "int", 1, dependency={"algorithm": ["SIRT"]}),
                _parameter("centre_of_rotation", "[float, str, dict{int:float}]", 0.0),
                _parameter("in_datasets", "[list[],list[str]]", []),
            ],
        },
        "TiffSaver": {"id": "savu.plugins.savers.tiff_saver", "parameters": []},
    },
}


def write_catalogue(folder: Path) -> Path:
    """The catalogue as a file, for ``SAVU_CATALOGUE``."""
    file = folder / "catalogue.json"
    file.write_text(json.dumps(CATALOGUE))
    return file
