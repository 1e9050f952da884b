"""Finding things in HDF5 files without leaving the data roots, and reading them in bounds."""
