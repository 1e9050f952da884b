"""Metadata and slices of HDF5 files for the browser: read-only, inside the data roots, bounded.

``app`` and ``pool`` are the web server, which touches no data file itself; ``nursery`` and
``worker`` are the processes that do; ``hdf5`` finds, checks and reads; ``answers`` says it in
the wire formats of H5Web (h5grove) and of DAWN's data server.
"""
