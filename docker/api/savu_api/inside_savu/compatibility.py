"""What Savu 4.2 expects of Python and NumPy and newer ones no longer have. Python 3.6 and later.

Nothing of Savu itself is changed: the names are put where it looks for them, before it is imported.
"""

import collections
import fractions
import importlib
import math
import os
import sys


def prepare():
    """Make Savu importable by this interpreter; call it before the first import of Savu."""
    if not hasattr(fractions, "gcd"):  # gone in Python 3.9
        fractions.gcd = math.gcd
    abstract = importlib.import_module("collections.abc")
    for name in ("Mapping", "MutableMapping", "Sequence", "Iterable", "Callable"):  # gone in 3.10
        if not hasattr(collections, name):
            setattr(collections, name, getattr(abstract, name))
    numpy = importlib.import_module("numpy")
    for name, kind in (("float", float), ("int", int), ("bool", bool), ("object", object)):
        if name not in vars(numpy) and not _numpy_has(numpy, name):  # gone in NumPy 1.24
            setattr(numpy, name, kind)


def leave_own_folder():
    """Forget the folder of the script that was started: its modules are none of Savu's."""
    own = os.path.dirname(os.path.abspath(__file__))
    sys.path[:] = [path for path in sys.path if os.path.abspath(path or ".") != own]


def _numpy_has(numpy, name):
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return hasattr(numpy, name)
