"""Savu's own command line: ``python run.py DATA LIST OUTDIR -f NAME``, in Savu's interpreter.

Python 3.6 and later. The ``savu`` script is not used: where Savu was installed from its main
branch it cannot be imported.
"""

import importlib
import os
import sys

import compatibility


def main():
    compatibility.leave_own_folder()
    compatibility.prepare()
    sys.argv[0] = "savu"
    try:
        tomo_recon = importlib.import_module("savu.tomo_recon")
    except ImportError as error:
        if error.name != "pre_run":
            raise
        # Savu's main branch imports a neighbour by its short name.
        savu = importlib.import_module("savu")
        sys.path.append(os.path.dirname(savu.__file__))
        tomo_recon = importlib.import_module("savu.tomo_recon")
    tomo_recon.main()


if __name__ == "__main__":
    main()
