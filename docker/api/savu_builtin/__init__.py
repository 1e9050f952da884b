"""The built-in engine: runs process lists made of a fixed set of Savu's plugins.

Plugins, modules and parameters bear Savu's names and results have Savu's layout; algotom and
scikit-image do the mathematics, and every result says so. ``python -m savu_builtin`` has Savu's
command line: ``DATA LIST OUTDIR -f NAME``.
"""

ENGINE = "builtin"
