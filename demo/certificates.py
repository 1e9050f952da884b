"""A certificate authority for servers on this machine: the demo's and the tests'."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

LIFETIME = timedelta(days=365)


class Authority:
    """Vouches for servers whose names it is given.

    ``certificate`` is its own, in PEM; its key is in no file unless it was :meth:`kept_in` one.
    """

    def __init__(self, key: ec.EllipticCurvePrivateKey, certificate: x509.Certificate) -> None:
        self._key = key
        self._certificate = certificate
        self.certificate = certificate.public_bytes(serialization.Encoding.PEM)

    @classmethod
    def new(cls, name: str = "savu-spawner demo") -> Authority:
        """One that nobody knows yet."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        certificate = (
            _builder(subject, subject, key.public_key(), datetime.now(UTC), LIFETIME)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(signs_certificates=True), critical=True)
            .add_extension(
                x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False
            )
            .sign(key, hashes.SHA256())
        )
        return cls(key, certificate)

    @classmethod
    def kept_in(cls, folder: Path) -> Authority:
        """The one of this folder, made if there is none or it is about to expire."""
        key_file, certificate_file = folder / "ca.key", folder / "ca.pem"
        if key_file.exists() and certificate_file.exists():
            key = serialization.load_pem_private_key(key_file.read_bytes(), password=None)
            certificate = x509.load_pem_x509_certificate(certificate_file.read_bytes())
            expires = certificate.not_valid_after_utc
            if isinstance(key, ec.EllipticCurvePrivateKey) and expires > datetime.now(
                UTC
            ) + timedelta(days=1):
                return cls(key, certificate)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        authority = cls.new()
        key_file.touch(mode=0o600)
        key_file.write_bytes(_pem(authority._key))
        certificate_file.write_bytes(authority.certificate)
        return authority

    def certify(
        self,
        names: Iterable[str],
        *,
        since: datetime | None = None,
        lifetime: timedelta = LIFETIME,
        self_signed: bool = False,
    ) -> tuple[bytes, bytes]:
        """A server's certificate for host names and addresses, and its key, in PEM.

        Args:
            self_signed: sign with the server's own key, as somebody would who has no authority.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        alternatives = [_general_name(name) for name in names]
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "server")])
        certificate = (
            _builder(
                subject,
                subject if self_signed else self._certificate.subject,
                key.public_key(),
                since or datetime.now(UTC),
                lifetime,
            )
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(signs_certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(
                    (key if self_signed else self._key).public_key()
                ),
                critical=False,
            )
            .sign(key if self_signed else self._key, hashes.SHA256())
        )
        return certificate.public_bytes(serialization.Encoding.PEM), _pem(key)


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePublicKey,
    since: datetime,
    lifetime: timedelta,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        # A little earlier, for clocks that are a little late.
        .not_valid_before(since - timedelta(minutes=5))
        .not_valid_after(since + lifetime)
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
