"""The cluster's certificate authority and everybody's keys, made with openssl."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path

from dev.cluster import settings
from dev.cluster.files import write_json
from dev.cluster.tools import run

DAYS = "365"
KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")


@dataclass(frozen=True)
class Authority:
    """Vouches for servers and clients; keeps every key in one private folder."""

    folder: Path

    @property
    def certificate(self) -> Path:
        return self.folder / "ca.crt"

    @property
    def account_key(self) -> Path:
        """Signs the tokens of service accounts."""
        return self.folder / "accounts.key"

    def found(self) -> None:
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        ca_key = self.folder / "ca.key"
        _openssl(
            *("req", "-x509", *KEY, "-keyout", ca_key, "-out", self.certificate, "-days", DAYS),
            *("-subj", "/CN=savu-spawner development cluster"),
        )
        _openssl("ecparam", "-genkey", "-noout", "-name", "prime256v1", "-out", self.account_key)

    def server(self, file: str, names: Iterable[str | IPv4Address]) -> None:
        """A server's ``file.crt`` and ``file.key``, for names and addresses."""
        alternatives = [
            f"IP:{name}" if isinstance(name, IPv4Address) else f"DNS:{name}" for name in names
        ]
        self._certify(file, f"/CN={file}", f"subjectAltName={','.join(alternatives)}\n")

    def client(self, file: str, user: str, group: str = "") -> None:
        """A client's ``file.crt`` and ``file.key``; the API server takes the names from it."""
        subject = (f"/O={group}" if group else "") + f"/CN={user}"
        self._certify(file, subject, "extendedKeyUsage=clientAuth\n")

    def write_kubeconfig(self, client: str, server: str, file: Path | None = None) -> None:
        """What a certified client needs, by default in ``client.kubeconfig`` beside its keys."""
        file = file or self.folder / f"{client}.kubeconfig"
        file.touch(mode=0o600)
        write_json(
            file,
            settings.kubeconfig(
                server,
                self.certificate.read_bytes(),
                (self.folder / f"{client}.crt").read_bytes(),
                (self.folder / f"{client}.key").read_bytes(),
            ),
        )

    def _certify(self, file: str, subject: str, extensions: str) -> None:
        key, request, settings = (self.folder / f"{file}.{end}" for end in ("key", "csr", "ext"))
        settings.write_text(extensions)
        _openssl("req", *KEY, "-keyout", key, "-out", request, "-subj", subject)
        _openssl(
            *("x509", "-req", "-in", request, "-out", self.folder / f"{file}.crt", "-days", DAYS),
            *("-CA", self.certificate, "-CAkey", self.folder / "ca.key", "-extfile", settings),
            "-CAcreateserial",
        )
        request.unlink()
        settings.unlink()


def _openssl(*arguments: str | Path) -> None:
    run("openssl", *arguments)
