"""``python -m demo.directory``: becomes slapd, with the accounts and the certificate mounted.

=========================================== ======================================================
``/etc/savu-directory``                     ``users.ldif``, ``ca.crt``, ``tls.crt``, ``tls.key``
``/var/lib/savu-directory``                 writable; the database is made anew at each start
``DIRECTORY_LISTEN``, ``ldaps://:1636/``    URLs, separated by spaces
=========================================== ======================================================
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from demo.slapd import Certificate, Slapd, SlapdError, find_program

MOUNTED = Path(os.environ.get("DIRECTORY_MOUNTED", "/etc/savu-directory"))
FOLDER = Path(os.environ.get("DIRECTORY_FOLDER", "/var/lib/savu-directory"))
LISTEN = os.environ.get("DIRECTORY_LISTEN", "ldaps://:1636/")


def main() -> None:
    """Load the entries, and go on as slapd: it is sent the container's signals."""
    certificate = Certificate(MOUNTED / "tls.crt", MOUNTED / "tls.key", MOUNTED / "ca.crt")
    try:
        slapd = Slapd(FOLDER, MOUNTED / "users.ldif", password="", certificate=certificate)
        configuration = slapd.load()
        program = find_program("slapd")
    except (SlapdError, OSError) as error:
        sys.exit(f"directory: {error}")
    os.execv(program, [program, "-d", "0", "-f", str(configuration), "-h", LISTEN])


if __name__ == "__main__":
    main()
