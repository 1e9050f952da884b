"""HDF5's own environment variables: none of the user's is honoured.

They could send a look-up outside the data roots (prefixes for links and virtual datasets), load
code (plugins, VOL connectors) or make reading depend on locks that a beamline's file system lacks.
"""

from __future__ import annotations

from collections.abc import Mapping


def cleaned(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment for a process that imports h5py."""
    kept = {
        name: value
        for name, value in environment.items()
        if not name.startswith(("HDF5_", "H5_", "BLOSC"))
    }
    return kept | {
        # Filters come from hdf5plugin, which registers its own; "::" switches dynamic loading off.
        "HDF5_PLUGIN_PRELOAD": "::",
        # A file that is being written must open, here and where HDF5 follows a virtual dataset.
        "HDF5_USE_FILE_LOCKING": "FALSE",
        # One thread a process: it is forked, and the cores belong to the user's jobs.
        "OPENBLAS_NUM_THREADS": "1",
        "OMP_NUM_THREADS": "1",
        "BLOSC_NTHREADS": "1",
        # Keep the buffers that chunks are decoded in while a request is at work: to ask the system
        # for each anew makes a sinogram take three times as long. Workers trim afterwards.
        "MALLOC_ARENA_MAX": "1",
        "MALLOC_MMAP_THRESHOLD_": str(32 * 1024 * 1024),
        "MALLOC_TRIM_THRESHOLD_": str(128 * 1024 * 1024),
    }
