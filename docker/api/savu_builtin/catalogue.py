"""What the engine runs: plugins under Savu 4.2's names, modules, parameters, types and defaults.

Where this engine knows fewer options than Savu, the missing ones are left out: whoever reads the
catalogue sees that a list asks for something else. Imports nothing heavy: it is printed often.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from savu_format import __version__

from savu_builtin import ENGINE
from savu_builtin.citations import (
    ALGOTOM,
    BACK_PROJECTION,
    CENTRING,
    RING_REMOVAL,
    SCIKIT_IMAGE,
    Citation,
)

Described = Mapping[str, Any]

LOG_FUNCTION: Final = "np.nan_to_num(-np.log(sino))"
"""The only text of ``log_func`` that is run: texts are never evaluated."""


def catalogue() -> dict[str, Any]:
    """The catalogue as JSON values, in the format of ``savu_format.catalogue``."""
    return {"engine": ENGINE, "version": __version__, "plugins": PLUGINS}


def _parameter(
    name: str,
    dtype: str,
    default: Any,
    summary: str,
    *,
    visibility: str = "basic",
    verbose: str = "",
    options: Sequence[tuple[str, str]] = (),
    dependency: Mapping[str, Any] | None = None,
) -> Described:
    description = {"summary": summary, **({"verbose": verbose} if verbose else {})}
    return {
        "name": name,
        "dtype": dtype,
        "default": default,
        "visibility": visibility,
        "description": description,
        **({"options": [list(option) for option in options]} if options else {}),
        **({"dependency": dict(dependency)} if dependency else {}),
    }


def _plugin(
    module: str,
    info: str,
    parameters: Sequence[Described],
    *,
    synopsis: str = "",
    warn: str = "",
    citations: Sequence[Citation] = (),
) -> dict[str, Any]:
    return {
        "id": f"savu.plugins.{module}",
        "info": info,
        "synopsis": synopsis or info,
        "warn": warn,
        "doc_link": "",
        "citations": [citation.mapping() for citation in citations],
        "parameters": list(parameters),
    }


_ONLY_SO = "The only value that this engine takes."

_DATASETS: Final = (
    _parameter(
        "in_datasets",
        "[list[],list[str]]",
        [],
        "Names of the datasets to process.",
        visibility="datasets",
        verbose="Empty: the dataset there is.",
    ),
    _parameter(
        "out_datasets",
        "[list[],list[str]]",
        [],
        "Names of the datasets to make.",
        visibility="datasets",
        verbose="Empty: the result takes the name of what it was made from.",
    ),
)

_SAVER_DATASETS: Final = (_DATASETS[0], {**_DATASETS[1], "visibility": "hidden"})


def _preview(summary: str, visibility: str) -> Described:
    return _parameter(
        "preview",
        "preview",
        [],
        summary,
        visibility=visibility,
        verbose=(
            "One entry an axis: ':' for all, an index, or start:stop:step, in which start, mid and "
            "end may stand, with a number added or subtracted: mid-5:mid+5."
        ),
    )


_RECONSTRUCTION: Final = (
    *_DATASETS,
    _parameter(
        "centre_of_rotation",
        "[float, str, dict{int:float}]",
        0.0,
        "Column of the rotation axis.",
        verbose=(
            "Used where no earlier step found it. 0: the middle. A mapping of row to column is "
            "fitted by a line; a text names the dataset that a centring step made."
        ),
    ),
    _parameter(
        "init_vol",
        "[None, str]",
        None,
        "Dataset to start from; back-projection starts from nothing.",
        visibility="intermediate",
        options=[("None", _ONLY_SO)],
    ),
    _parameter(
        "log",
        "bool",
        True,
        "Take the negative logarithm first: for data that are transmissions.",
        visibility="intermediate",
        verbose="False for data that are attenuations already, as after phase retrieval.",
    ),
    _preview("The part of the data to reconstruct.", "intermediate"),
    _parameter(
        "force_zero",
        "[list[float,float],list[None,None]]",
        [None, None],
        "Lowest and highest value to keep; what is outside becomes zero.",
        visibility="intermediate",
    ),
    _parameter(
        "ratio",
        "[float, list[float, float]]",
        0.95,
        "Diameter of the circle that is kept, as a part of the width.",
        visibility="intermediate",
        verbose="With a second number, what is outside the circle gets this value, else zero.",
    ),
    _parameter(
        "log_func",
        "str",
        LOG_FUNCTION,
        "How the logarithm is taken.",
        visibility="advanced",
        options=[(LOG_FUNCTION, _ONLY_SO)],
    ),
)

PLUGINS: Final[dict[str, dict[str, Any]]] = {
    "NxtomoLoader": _plugin(
        "loaders.full_field_loaders.nxtomo_loader",
        "Loads a tomography scan from a NeXus file (NXtomo).",
        [
            _preview("The part of the scan to process.", "basic"),
            _parameter(
                "name",
                "str",
                "tomo",
                "Name of the dataset in this list.",
                visibility="intermediate",
            ),
            _parameter(
                "data_path",
                "str",
                "entry1/tomo_entry/data/data",
                "Where the frames are in the file.",
            ),
            _parameter(
                "image_key_path",
                "[None, h5path]",
                "entry1/tomo_entry/instrument/detector/image_key",
                "Where the image key is: 0 projection, 1 flat field, 2 dark field.",
                visibility="intermediate",
                verbose="None: every frame is a projection.",
            ),
            _parameter(
                "dark",
                "[list[filepath, h5path, float],list[None,None,float]]",
                [None, None, 1.0],
                "Dark fields of another file: the file, where they are in it, and a factor.",
            ),
            _parameter(
                "flat",
                "[list[filepath, h5path, float],list[None,None,float]]",
                [None, None, 1.0],
                "Flat fields of another file: the file, where they are in it, and a factor.",
            ),
            _parameter(
                "angles",
                "[str, int, None]",
                None,
                "File of angles in degrees, one a line; None: those of the scan.",
                visibility="intermediate",
            ),
            _parameter(
                "3d_to_4d",
                "[bool, int]",
                False,
                "Whether several scans follow one another in the file.",
                visibility="intermediate",
                options=[("False", _ONLY_SO)],
            ),
            _parameter(
                "ignore_flats",
                "[list[int], None]",
                None,
                "Batches of flat fields to leave out, counted from 1.",
                visibility="intermediate",
            ),
        ],
    ),
    "DarkFlatFieldCorrection": _plugin(
        "corrections.dark_flat_field_correction",
        "Turns counts into transmissions by the mean dark and flat fields.",
        [
            *_DATASETS,
            _parameter(
                "pattern",
                "str",
                "PROJECTION",
                "How the data are taken through; the result is the same.",
                options=[("SINOGRAM", "Sinogram by sinogram"), ("PROJECTION", "Frame by frame")],
            ),
            _parameter(
                "lower_bound",
                "[None,float]",
                None,
                "Values below are set to this one.",
                visibility="intermediate",
            ),
            _parameter(
                "upper_bound",
                "[None,float]",
                None,
                "Values above are set to this one.",
                visibility="intermediate",
            ),
            _parameter(
                "warn_proportion",
                "float",
                0.05,
                "Warn if more than this part of the values is outside a bound.",
                visibility="intermediate",
            ),
        ],
    ),
    "RemoveAllRings": _plugin(
        "ring_removal.remove_all_rings",
        "Removes most kinds of ring artefacts by cleaning the stripes of each sinogram.",
        [
            *_DATASETS,
            _parameter(
                "sm_size", "int", 31, "Window of the median filter for small and medium stripes."
            ),
            _parameter("la_size", "int", 71, "Window of the median filter for large stripes."),
            _parameter(
                "snr",
                "float",
                3.0,
                "How far a column stands out to be taken for a stripe; more is less sensitive.",
            ),
        ],
        citations=[RING_REMOVAL, ALGOTOM],
    ),
    "VoCentering": _plugin(
        "centering.vo_centering",
        "Finds the centre of rotation from sinograms over half a turn.",
        [
            _DATASETS[0],
            {**_DATASETS[1], "default": ["cor_preview", "cor_broadcast"]},
            _preview(
                "The sinograms to use; a few are enough: mid-2:mid+3 on the second axis.", "basic"
            ),
            _parameter(
                "start_pixel",
                "[int,None]",
                None,
                "Column about which to search; None: the middle.",
                visibility="intermediate",
            ),
            _parameter(
                "search_area",
                "list[float,float]",
                [-50, 50],
                "How far to search, in columns below and above.",
            ),
            _parameter(
                "ratio",
                "float",
                0.5,
                "Width of the sample as a part of the field of view.",
                visibility="intermediate",
            ),
            _parameter(
                "search_radius",
                "int",
                6,
                "How far to search finely, in columns.",
                visibility="intermediate",
            ),
            _parameter(
                "step",
                "float",
                0.5,
                "Step of the fine search, in columns.",
                visibility="intermediate",
            ),
            _parameter(
                "datasets_to_populate",
                "[list[],list[str]]",
                [],
                "Other datasets that are to get this centre.",
                visibility="intermediate",
            ),
            _parameter(
                "broadcast_method",
                "str",
                "median",
                "How the centres found become those of all rows.",
                visibility="advanced",
                options=[
                    ("median", "Their median"),
                    ("mean", "Their mean"),
                    ("nearest", "That of the nearest row"),
                    ("linear_fit", "A line fitted to them"),
                ],
            ),
            _parameter(
                "row_drop",
                "int",
                20,
                "Rows left out about the middle of the mask.",
                visibility="advanced",
            ),
            _parameter(
                "average_radius",
                "int",
                5,
                "Sinograms on either side that are averaged against noise.",
                visibility="advanced",
            ),
        ],
        citations=[CENTRING, ALGOTOM],
    ),
    "ScikitimageFilterBackProjection": _plugin(
        "reconstructions.scikitimage_filter_back_projection",
        "Reconstructs by filtered back-projection with scikit-image.",
        [
            *_RECONSTRUCTION,
            _parameter(
                "vol_shape",
                "[str, int]",
                "fixed",
                "Width of the reconstruction.",
                visibility="hidden",
                options=[("fixed", "That of the detector"), ("auto", "That of the detector")],
            ),
            _parameter(
                "output_size",
                "[None, int,list[int,int],str]",
                "auto",
                "Width of the reconstruction.",
                visibility="intermediate",
                options=[("auto", "That of the detector"), ("None", "That of the detector")],
            ),
            _parameter(
                "filter",
                "str",
                "ramp",
                "Filter of the projections.",
                visibility="intermediate",
                options=[
                    ("ramp", "The ramp itself"),
                    ("shepp-logan", "Shepp-Logan: times a sinc"),
                    ("cosine", "Times a cosine"),
                    ("hamming", "Times a Hamming window"),
                    ("hann", "Times a Hann window"),
                    ("None", "No filter: blurred"),
                ],
            ),
            _parameter(
                "interpolation",
                "int",
                "linear",
                "How values between columns are found; cubic is slow.",
                visibility="intermediate",
                options=[("linear", "Linear"), ("nearest", "Nearest"), ("cubic", "Cubic")],
            ),
            _parameter(
                "circle",
                "bool",
                False,
                "Whether what is outside the inscribed circle is zero.",
                visibility="intermediate",
            ),
        ],
        citations=[BACK_PROJECTION, SCIKIT_IMAGE],
    ),
    "AstraReconCpu": _plugin(
        "reconstructions.astra_recons.astra_recon_cpu",
        "Reconstructs by filtered back-projection, in this engine with Algotom.",
        [
            *_RECONSTRUCTION,
            _parameter(
                "vol_shape",
                "[str, int]",
                "fixed",
                "Width of the reconstruction in pixels; fixed: that of the detector.",
                visibility="intermediate",
            ),
            _parameter(
                "n_iterations",
                "int",
                1,
                "Number of iterations; back-projection has none.",
                dependency={"algorithm": ["SIRT_CUDA", "SART_CUDA", "CGLS_CUDA"]},
            ),
            _parameter(
                "outer_pad",
                "[bool, float]",
                False,
                "Whether to pad the sinogram to fill the corners.",
                visibility="intermediate",
                options=[("False", _ONLY_SO)],
                dependency={"algorithm": ["FBP", "BP"]},
            ),
            _parameter(
                "centre_pad",
                "[bool, float]",
                False,
                "Whether to pad the sinogram until the axis is in its middle.",
                visibility="intermediate",
                options=[("False", _ONLY_SO)],
                dependency={"algorithm": ["FBP", "BP"]},
            ),
            _parameter(
                "algorithm",
                "str",
                "FBP",
                "How to reconstruct.",
                options=[("FBP", "Filtered back-projection")],
            ),
            _parameter(
                "FBP_filter",
                "str",
                "ram-lak",
                "Filter of the projections.",
                visibility="intermediate",
                options=[
                    ("ram-lak", "The ramp itself (Ram-Lak)"),
                    ("shepp-logan", "The ramp times a sinc"),
                    ("cosine", "The ramp times a cosine"),
                    ("hamming", "The ramp times a Hamming window"),
                    ("hann", "The ramp times a Hann window"),
                ],
            ),
            _parameter(
                "projector",
                "str",
                "line",
                "ASTRA's projector; this engine interpolates linearly whichever is named.",
                visibility="intermediate",
                options=[
                    ("line", "Lengths of intersection"),
                    ("strip", "Areas of intersection"),
                    ("linear", "Linear interpolation"),
                ],
            ),
        ],
        citations=[BACK_PROJECTION, ALGOTOM],
    ),
    "TiffSaver": _plugin(
        "savers.tiff_saver",
        "Saves each slice as a TIFF file of 32-bit numbers.",
        [
            *_SAVER_DATASETS,
            _parameter(
                "pattern",
                "str",
                "VOLUME_XZ",
                "Which planes become files.",
                verbose=(
                    "VOLUME_XZ, VOLUME_XY and VOLUME_YZ of a reconstruction; PROJECTION, SINOGRAM "
                    "and TANGENTOGRAM before it."
                ),
            ),
            _parameter(
                "prefix",
                "[None,str]",
                None,
                "What the files' names begin with.",
                visibility="intermediate",
            ),
        ],
        warn="One file a slice: at most 100 000.",
    ),
    "Hdf5Saver": _plugin(
        "savers.hdf5_saver",
        "Saves a dataset as HDF5, as is done with every result that no other step follows.",
        [
            *_SAVER_DATASETS,
            _parameter(
                "pattern",
                "str",
                "optimum",
                "The planes that are to be read fast; optimum: those it was made by.",
            ),
        ],
    ),
}
