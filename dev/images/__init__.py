"""The project's images: built, kept as archives, and brought to where they are to run.

========================  =========================================================================
``catalogue``             which images there are, and what each is made from
``bases``                 what they stand on where no registry can be pulled from
``engines``               Docker, Podman, Buildah
``archive``               several images in one file, each layer once
``build``                 builds what is not there as its sources are now
``targets``               the cluster that they are for
========================  =========================================================================
"""
