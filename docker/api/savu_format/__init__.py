"""Savu's file formats, without Savu: process lists and catalogues of plugins.

Used by the API and by engines; imports neither. Nothing read here is ever evaluated.
"""

__version__ = "0.1.0"
