"""A real OpenLDAP server, private to whoever starts it: own folder, port, accounts and certificate.

    with Slapd(folder, "users.ldif", password="secret") as slapd:
        print(slapd.url, slapd.ca_file)

Nothing of the machine's own directory service is read, started or changed.
"""

from __future__ import annotations

import base64
import ctypes
import hashlib
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from demo.certificates import Authority

SYSTEM_PATH = "/usr/local/sbin:/usr/sbin:/sbin:/usr/local/libexec:/usr/libexec"
SCHEMA_FOLDERS = (Path("/etc/ldap/schema"), Path("/etc/openldap/schema"))
MODULE_FOLDERS = (Path("/usr/lib/ldap"), Path("/usr/lib64/openldap"), Path("/usr/lib/openldap"))

SCHEMAS = ("core", "cosine", "nis", "inetorgperson")
"""RFC 2307: posixAccount, and posixGroup with memberUid. Instead of ``nis`` a file of one's own
(RFC 2307bis) may be named by its path."""

START_SECONDS = 10


class SlapdError(Exception):
    """The server could not be started; the sentence says why."""


@dataclass(frozen=True)
class Certificate:
    """Files that somebody else provides, in PEM."""

    certificate: Path
    key: Path
    authority: Path


class Slapd:
    """An LDAP server on 127.0.0.1, with ``ldaps://`` and ``ldap://`` (StartTLS).

    Everybody may read everything but passwords, as at the facilities that it stands for.

    Args:
        folder: for configuration, certificates and database; the database is made anew at each
            start, the certificates are kept.
        ldif: entries; its first one is the base.
        password: given to every entry of a person that has none; empty for none.
        port: of ``ldaps://``; 0 for any free one.
        schemas: names of the system's schemas, or paths of one's own.
        rules: access rules that come before the usual ones.
        options: further lines of the database's configuration (``sizelimit 5``).
        certificate: of the server, where it is not to make one; what follows is then unused.
        authority: who vouches for the server; by default one of its own.
        certificate_names: whom the certificate is for.
        certificate_since: when it begins to hold.
        certificate_lifetime: for how long it holds.
        self_signed: let the server vouch for itself.
        with_tls: whether it can do TLS at all.
    """

    def __init__(
        self,
        folder: Path | str,
        ldif: Path | str,
        *,
        password: str,
        port: int = 0,
        schemas: Iterable[str] = SCHEMAS,
        rules: Iterable[str] = (),
        options: Iterable[str] = (),
        certificate: Certificate | None = None,
        authority: Authority | None = None,
        certificate_names: Iterable[str] = ("localhost", "127.0.0.1"),
        certificate_since: datetime | None = None,
        certificate_lifetime: timedelta | None = None,
        self_signed: bool = False,
        with_tls: bool = True,
    ) -> None:
        self.folder = Path(folder).resolve()
        self.ldif = Path(ldif).resolve()
        self.base_dn = _first_dn(self.ldif)
        self.port = port
        self.plain_port = 0
        self.process: subprocess.Popen[bytes] | None = None
        self._password = password
        self._schemas = tuple(schemas)
        self._rules = tuple(rules)
        self._options = tuple(options)
        self._certificate = certificate or Certificate(
            self.folder / "server.pem", self.folder / "server.key", self.folder / "ca.pem"
        )
        self._makes_certificate = certificate is None
        self._authority = authority
        self._certificate_names = tuple(certificate_names)
        self._certificate_since = certificate_since
        self._certificate_lifetime = certificate_lifetime
        self._self_signed = self_signed
        self._with_tls = with_tls

    @property
    def url(self) -> str:
        """With TLS from the start."""
        return f"ldaps://127.0.0.1:{self.port}"

    @property
    def plain_url(self) -> str:
        """Without TLS, until StartTLS is asked for."""
        return f"ldap://127.0.0.1:{self.plain_port}"

    @property
    def ca_file(self) -> Path:
        """The certificate of the authority that vouches for the server, in PEM."""
        return self._certificate.authority

    @property
    def log_file(self) -> Path:
        return self.folder / "slapd.log"

    def start(self) -> None:
        """Start, with the entries of the LDIF; on return it answers.

        Raises:
            SlapdError: it does not; nothing is left running.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        self.folder.chmod(0o700)
        if self._makes_certificate:
            self._write_certificates()
        self.load()
        self._launch()

    def restart(self) -> None:
        """End and start again on the same ports, with the entries as they are now."""
        self.stop()
        self._launch()

    def stop(self) -> None:
        """End the server; harmless if it has ended."""
        process, self.process = self.process, None
        if process is None:
            return
        process.send_signal(signal.SIGCONT)
        process.terminate()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def freeze(self) -> None:
        """Let it go silent: connections are accepted by the kernel, and nothing answers."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)

    def __enter__(self) -> Slapd:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    # -- Starting ---------------------------------------------------------------------------------

    def _write_certificates(self) -> None:
        # Needed only here: the demo's image has neither certificates of its own nor cryptography.
        from demo.certificates import LIFETIME, Authority

        authority = self._authority or Authority.kept_in(self.folder / "authority")
        self.ca_file.write_bytes(authority.certificate)
        certificate, key = authority.certify(
            self._certificate_names,
            since=self._certificate_since,
            lifetime=self._certificate_lifetime or LIFETIME,
            self_signed=self._self_signed,
        )
        self._certificate.certificate.write_bytes(certificate)
        _write_private(self._certificate.key, key)

    def load(self) -> Path:
        """Write the configuration and make the database anew; returns the configuration's path.

        Raises:
            SlapdError: the entries are refused, or OpenLDAP is not installed.
        """
        database = self.folder / "database"
        shutil.rmtree(database, ignore_errors=True)
        database.mkdir(mode=0o700)
        configuration = self.folder / "slapd.conf"
        configuration.write_text(self._configuration(database))
        entries = self.folder / "entries.ldif"
        _write_private(entries, with_passwords(self.ldif.read_text(), self._password).encode())
        added = subprocess.run(
            [find_program("slapadd"), "-q", "-f", configuration, "-l", entries],
            capture_output=True,
            text=True,
            check=False,
        )
        entries.unlink()
        if added.returncode != 0:
            raise SlapdError(f"slapadd refused {self.ldif}: {added.stderr.strip()}")
        return configuration

    def _configuration(self, database: Path) -> str:
        lines = [f"include {_schema_file(schema)}" for schema in self._schemas]
        if modules := next((folder for folder in MODULE_FOLDERS if folder.is_dir()), None):
            lines += [f"modulepath {modules}", "moduleload back_mdb"]
        lines += [
            f"pidfile {self.folder}/slapd.pid",
            *(self._tls_lines() if self._with_tls else []),
            "database mdb",
            f'suffix "{self.base_dn}"',
            f"directory {database}",
            "maxsize 67108864",
            "dbnosync",
            "index objectClass,uid,cn,memberUid,uidNumber,gidNumber eq",
            "access to attrs=userPassword by anonymous auth by * none",
            *self._rules,
            "access to * by * read",
            *self._options,
        ]
        return "\n".join(lines) + "\n"

    def _tls_lines(self) -> list[str]:
        return [
            f"TLSCACertificateFile {self.ca_file}",
            f"TLSCertificateFile {self._certificate.certificate}",
            f"TLSCertificateKeyFile {self._certificate.key}",
            "TLSVerifyClient never",
        ]

    def _launch(self) -> None:
        # Chosen now and bound a moment later; whoever takes a port in between is told by slapd.
        self.port = self.port or _free_port()
        self.plain_port = self.plain_port or _free_port()
        configuration = str(self.folder / "slapd.conf")
        addresses = f"{self.url}/ {self.plain_url}/" if self._with_tls else f"{self.plain_url}/"
        with self.log_file.open("ab") as log:
            self.process = subprocess.Popen(
                # A debug level, even 0, keeps slapd in the foreground.
                [find_program("slapd"), "-d", "0", "-f", configuration, "-h", addresses],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                # Ctrl-C is for the program that started it, which then ends it in order.
                start_new_session=True,
                preexec_fn=_end_with_parent,
            )
        try:
            self._await_listening()
        except BaseException:
            self.stop()
            raise

    def _await_listening(self) -> None:
        assert self.process is not None
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise SlapdError(f"slapd ended while starting: {self._log_tail()}")
            try:
                for port in (self.port, self.plain_port)[not self._with_tls :]:
                    socket.create_connection(("127.0.0.1", port), timeout=1).close()
                return
            except OSError:
                time.sleep(0.01)
        raise SlapdError(f"slapd did not answer within {START_SECONDS} s: {self._log_tail()}")

    def _log_tail(self) -> str:
        return " ".join(self.log_file.read_text(errors="replace").splitlines()[-3:])


def _end_with_parent() -> None:
    ctypes.CDLL(None).prctl(1, signal.SIGTERM, 0, 0, 0)  # PR_SET_PDEATHSIG


def hashed(password: str) -> str:
    """A password as ``userPassword`` keeps it."""
    salt = secrets.token_bytes(16)
    digest = hashlib.sha1(password.encode() + salt).digest()
    return "{SSHA}" + base64.b64encode(digest + salt).decode()


def with_passwords(ldif: str, password: str) -> str:
    """LDIF in which every person without a password has this one, hashed."""
    blocks = re.split(r"\n\s*\n", ldif.strip())
    for number, block in enumerate(blocks):
        is_person = re.search(r"^objectClass: *(inetOrgPerson|person|account)$", block, re.M | re.I)
        if password and is_person and not re.search(r"^userPassword:", block, re.M | re.I):
            blocks[number] = f"{block}\nuserPassword: {hashed(password)}"
    return "\n\n".join(blocks) + "\n"


def _write_private(file: Path, content: bytes) -> None:
    file.unlink(missing_ok=True)
    file.touch(mode=0o600, exist_ok=False)
    file.write_bytes(content)


def _first_dn(ldif: Path) -> str:
    found = re.search(r"^dn: *(.+)$", ldif.read_text(), re.M)
    if found is None:
        raise SlapdError(f"{ldif} has no entry")
    return found[1].strip()


def find_program(name: str) -> str:
    """Path of a program of OpenLDAP.

    Raises:
        SlapdError: it is not installed.
    """
    found = shutil.which(name, path=f"{os.environ.get('PATH', '')}:{SYSTEM_PATH}")
    if found is None:
        raise SlapdError(f"{name} is not installed (Debian: slapd; RHEL: openldap-servers)")
    return found


def _schema_file(schema: str) -> Path:
    if "/" in schema:
        return Path(schema)
    for folder in SCHEMA_FOLDERS:
        if (file := folder / f"{schema}.schema").exists():
            return file
    raise SlapdError(f"the schema {schema} of OpenLDAP is not in any of {SCHEMA_FOLDERS}")


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])
