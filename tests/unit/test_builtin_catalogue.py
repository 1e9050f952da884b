"""The built-in engine's catalogue against what Savu 4.2 says of the same plugins."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest
from savu_builtin.catalogue import PLUGINS, catalogue
from savu_format.catalogue import load, parse_value

SAVU_MODULES = {
    "NxtomoLoader": "savu.plugins.loaders.full_field_loaders.nxtomo_loader",
    "DarkFlatFieldCorrection": "savu.plugins.corrections.dark_flat_field_correction",
    "RemoveAllRings": "savu.plugins.ring_removal.remove_all_rings",
    "VoCentering": "savu.plugins.centering.vo_centering",
    "ScikitimageFilterBackProjection": "savu.plugins.reconstructions."
    "scikitimage_filter_back_projection",
    "AstraReconCpu": "savu.plugins.reconstructions.astra_recons.astra_recon_cpu",
    "TiffSaver": "savu.plugins.savers.tiff_saver",
    "Hdf5Saver": "savu.plugins.savers.hdf5_saver",
}

SAVU_PARAMETERS: dict[str, list[tuple[str, str, Any, str]]] = {
    "NxtomoLoader": [
        ("preview", "preview", [], "basic"),
        ("name", "str", "tomo", "intermediate"),
        ("data_path", "str", "entry1/tomo_entry/data/data", "basic"),
        (
            "image_key_path",
            "[None, h5path]",
            "entry1/tomo_entry/instrument/detector/image_key",
            "intermediate",
        ),
        (
            "dark",
            "[list[filepath, h5path, float],list[None,None,float]]",
            [None, None, 1.0],
            "basic",
        ),
        (
            "flat",
            "[list[filepath, h5path, float],list[None,None,float]]",
            [None, None, 1.0],
            "basic",
        ),
        ("angles", "[str, int, None]", None, "intermediate"),
        ("3d_to_4d", "[bool, int]", False, "intermediate"),
        ("ignore_flats", "[list[int], None]", None, "intermediate"),
    ],
    "DarkFlatFieldCorrection": [
        ("in_datasets", "[list[],list[str]]", [], "datasets"),
        ("out_datasets", "[list[],list[str]]", [], "datasets"),
        ("pattern", "str", "PROJECTION", "basic"),
        ("lower_bound", "[None,float]", None, "intermediate"),
        ("upper_bound", "[None,float]", None, "intermediate"),
        ("warn_proportion", "float", 0.05, "intermediate"),
    ],
    "RemoveAllRings": [
        ("in_datasets", "[list[],list[str]]", [], "datasets"),
        ("out_datasets", "[list[],list[str]]", [], "datasets"),
        ("sm_size", "int", 31, "basic"),
        ("la_size", "int", 71, "basic"),
        ("snr", "float", 3.0, "basic"),
    ],
    "VoCentering": [
        ("in_datasets", "[list[],list[str]]", [], "datasets"),
        ("out_datasets", "[list[],list[str]]", ["cor_preview", "cor_broadcast"], "datasets"),
        ("preview", "preview", [], "basic"),
        ("start_pixel", "[int,None]", None, "intermediate"),
        ("search_area", "list[float,float]", [-50, 50], "basic"),
        ("ratio", "float", 0.5, "intermediate"),
        ("search_radius", "int", 6, "intermediate"),
        ("step", "float", 0.5, "intermediate"),
        ("datasets_to_populate", "[list[],list[str]]", [], "intermediate"),
        ("broadcast_method", "str", "median", "advanced"),
        ("row_drop", "int", 20, "advanced"),
        ("average_radius", "int", 5, "advanced"),
    ],
    "ScikitimageFilterBackProjection": [
        ("in_datasets", "[list[],list[str]]", [], "datasets"),
        ("out_datasets", "[list[],list[str]]", [], "datasets"),
        ("centre_of_rotation", "[float, str, dict{int:float}]", 0.0, "basic"),
        ("init_vol", "[None, str]", None, "intermediate"),
        ("log", "bool", True, "intermediate"),
        ("preview", "preview", [], "intermediate"),
        ("force_zero", "[list[float,float],list[None,None]]", [None, None], "intermediate"),
        ("ratio", "[float, list[float, float]]", 0.95, "intermediate"),
        ("log_func", "str", "np.nan_to_num(-np.log(sino))", "advanced"),
        ("vol_shape", "[str, int]", "fixed", "hidden"),
        ("output_size", "[None, int,list[int,int],str]", "auto", "intermediate"),
        ("filter", "str", "ramp", "intermediate"),
        ("interpolation", "int", "linear", "intermediate"),
        ("circle", "bool", False, "intermediate"),
    ],
    "AstraReconCpu": [
        ("in_datasets", "[list[],list[str]]", [], "datasets"),
        ("out_datasets", "[list[],list[str]]", [], "datasets"),
        ("centre_of_rotation", "[float, str, dict{int:float}]", 0.0, "basic"),
        ("init_vol", "[None, str]", None, "intermediate"),
        ("log", "bool", True, "intermediate"),
        ("preview", "preview", [], "intermediate"),
        ("force_zero", "[list[float,float],list[None,None]]", [None, None], "intermediate"),
        ("ratio", "[float, list[float, float]]", 0.95, "intermediate"),
        ("log_func", "str", "np.nan_to_num(-np.log(sino))", "advanced"),
        ("vol_shape", "[str, int]", "fixed", "intermediate"),
        ("n_iterations", "int", 1, "basic"),
        ("outer_pad", "[bool, float]", False, "intermediate"),
        ("centre_pad", "[bool, float]", False, "intermediate"),
        ("algorithm", "str", "FBP", "basic"),
        ("FBP_filter", "str", "ram-lak", "intermediate"),
        ("projector", "str", "line", "intermediate"),
    ],
    "TiffSaver": [
        ("in_datasets", "[list[],list[str]]", [], "datasets"),
        ("out_datasets", "[list[],list[str]]", [], "hidden"),
        ("pattern", "str", "VOLUME_XZ", "basic"),
        ("prefix", "[None,str]", None, "intermediate"),
    ],
    "Hdf5Saver": [
        ("in_datasets", "[list[],list[str]]", [], "datasets"),
        ("out_datasets", "[list[],list[str]]", [], "hidden"),
        ("pattern", "str", "optimum", "basic"),
    ],
}
"""Name, type, default and visibility, in Savu's order; nothing stands for its 'None' in lists."""

SAVU_OPTIONS = {
    "DarkFlatFieldCorrection.pattern": ["SINOGRAM", "PROJECTION"],
    "VoCentering.broadcast_method": ["median", "mean", "nearest", "linear_fit"],
    "ScikitimageFilterBackProjection.filter": [
        "ramp",
        "shepp-logan",
        "cosine",
        "hamming",
        "hann",
        "None",
    ],
    "ScikitimageFilterBackProjection.interpolation": ["linear", "nearest", "cubic"],
    "AstraReconCpu.algorithm": ["FBP", "SIRT", "SART", "ART", "CGLS", "BP"],
    "AstraReconCpu.FBP_filter": [
        "none",
        "ram-lak",
        "shepp-logan",
        "cosine",
        "hamming",
        "hann",
        "tukey",
        "lanczos",
        "triangular",
        "gaussian",
        "barlett-hann",
        "blackman",
        "nuttall",
        "blackman-harris",
        "blackman-nuttall",
        "flat-top",
        "kaiser",
        "parzen",
    ],
    "AstraReconCpu.projector": ["line", "strip", "linear"],
}


def test_the_catalogue_is_one_that_the_format_knows() -> None:
    loaded = load(catalogue())
    assert loaded.engine == "builtin"
    assert set(loaded.plugins) == set(SAVU_PARAMETERS)


@pytest.mark.parametrize("name", SAVU_MODULES)
def test_modules_are_savus(name: str) -> None:
    assert PLUGINS[name]["id"] == SAVU_MODULES[name]


@pytest.mark.parametrize("name", SAVU_PARAMETERS)
def test_names_types_defaults_and_order_of_parameters_are_savus(name: str) -> None:
    ours = [
        (item["name"], item["dtype"], item["default"], item["visibility"])
        for item in PLUGINS[name]["parameters"]
    ]
    assert ours == SAVU_PARAMETERS[name]


@pytest.mark.parametrize("where", SAVU_OPTIONS)
def test_options_are_savus_or_some_of_them(where: str) -> None:
    plugin, name = where.split(".")
    parameter = load(catalogue()).plugins[plugin].parameter(name)
    assert parameter is not None
    assert {value for value, _ in parameter.options} <= set(SAVU_OPTIONS[where])


def test_only_filtered_back_projection_is_offered_for_astra() -> None:
    parameter = load(catalogue()).plugins["AstraReconCpu"].parameter("algorithm")
    assert parameter is not None
    assert [value for value, _ in parameter.options] == ["FBP"]


def test_every_default_is_a_value_of_its_own_parameter() -> None:
    for plugin in load(catalogue()).plugins.values():
        for parameter in plugin.parameters:
            assert parse_value(parameter.default, parameter) == parameter.default, parameter


def test_every_parameter_and_plugin_is_described() -> None:
    for plugin in load(catalogue()).plugins.values():
        assert plugin.info.endswith(".")
        for parameter in plugin.parameters:
            assert parameter.description is not None
            assert parameter.description["summary"].endswith("."), parameter


def test_the_catalogue_is_printed_without_importing_anything_heavy() -> None:
    code = (
        "import sys, savu_builtin.__main__ as m; m.main(['catalogue']);"
        "heavy = {'numpy', 'h5py', 'algotom', 'numba', 'skimage'} & set(sys.modules);"
        "sys.exit(f'imported {heavy}' if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["engine"] == "builtin"
