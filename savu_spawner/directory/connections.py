"""One connection to one LDAP server, with a deadline that holds. The only importer of ldap3.

ldap3 waits in each call, and counts its time-outs for each read: a server that sends a byte a
second holds it for ever. The deadline is therefore in the socket itself: the thread ends with it.
"""

from __future__ import annotations

import select
import socket
import ssl
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

import ldap3
from ldap3.core.exceptions import LDAPInvalidFilterError
from ldap3.operation.search import parse_filter
from ldap3.utils.dn import escape_rdn

ANSWER_LIMIT: Final = 64 * 2**20
"""Bytes of one answer; the largest groups of a facility are a hundredth of it."""

# RFC 4511, appendix A.
SUCCESS, SIZE_LIMIT, ADMIN_LIMIT, BUSY, UNAVAILABLE = 0, 4, 11, 51, 52
WRONG_PASSWORD: Final = frozenset(
    {
        49,  # invalidCredentials
        48,  # inappropriateAuthentication: the entry has no password
        19,  # constraintViolation: locked by a password policy
        53,  # unwillingToPerform: inactivated
        32,  # noSuchObject
        34,  # invalidDNSyntax
    }
)


class Unusable(Exception):
    """This server gave no usable answer; the next one may."""

    def __init__(self, why: str, *, down: bool = True) -> None:
        super().__init__(why)
        self.down = down
        """Whether it is to be left alone for a while."""


class TooMany(Unusable):
    """More entries than the server gives out: a part is not an answer."""

    def __init__(self, why: str) -> None:
        super().__init__(why, down=False)


@dataclass(frozen=True)
class Entry:
    """One entry of an answer; attributes by their names in lower case."""

    dn: str
    attributes: Mapping[str, Sequence[str]]

    def values(self, attribute: str) -> Sequence[str]:
        return self.attributes.get(attribute.lower(), ())

    def first(self, attribute: str) -> str:
        return next(iter(self.values(attribute)), "")


@dataclass(frozen=True)
class ServerAddress:
    """Where a server is, and how it is protected: ``ldaps``, ``start_tls`` or ``none``."""

    host: str
    port: int
    tls: str

    @classmethod
    def parse(cls, text: str, tls: str) -> ServerAddress:
        """A server from its URL.

        Raises:
            ValueError: not such a URL, or one that contradicts ``tls``.
        """
        scheme = "ldaps" if tls == "ldaps" else "ldap"
        parts = urlsplit(text if "://" in text else f"{scheme}://{text}")
        if parts.scheme not in ("ldap", "ldaps") or not parts.hostname or parts.path.strip("/"):
            raise ValueError(f"{text!r} is not like ldaps://ldap.facility.example")
        if parts.scheme != scheme:
            raise ValueError(
                f"{text!r} contradicts tls = {tls!r}: ldaps:// goes with 'ldaps',"
                " ldap:// with 'start_tls' or 'none'"
            )
        return cls(parts.hostname, parts.port or (636 if scheme == "ldaps" else 389), tls)

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'ldaps' if self.tls == 'ldaps' else 'ldap'}://{host}:{self.port}"


class _DeadlineSocket:
    """A connected socket that ldap3 reads and writes, until a moment."""

    def __init__(self, connected: socket.socket, deadline: float) -> None:
        self.socket = connected
        self.until(deadline)

    def until(self, deadline: float) -> None:
        """The next operation's deadline, on the clock ``time.monotonic``."""
        self._deadline = deadline
        self._budget = ANSWER_LIMIT

    def allow_remaining(self) -> None:
        """Let the socket wait as long as there is time, and no longer.

        Raises:
            TimeoutError: there is none.
        """
        remaining = self._deadline - time.monotonic()
        if remaining <= 0:
            raise TimeoutError("no answer in time")
        self.socket.settimeout(remaining)

    def recv(self, size: int) -> bytes:
        self.allow_remaining()
        data = self.socket.recv(size)
        self._budget -= len(data)
        if self._budget < 0:
            raise OSError(f"answer of more than {ANSWER_LIMIT} bytes")
        return data

    def sendall(self, data: bytes) -> None:
        self.allow_remaining()
        self.socket.sendall(data)

    def is_silent(self) -> bool:
        """Whether nothing arrived: on an idle connection anything is its end."""
        poll = select.poll()
        poll.register(self.socket, select.POLLIN | select.POLLHUP | select.POLLERR)
        return not poll.poll(0)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.socket, name)


class _VerifyingTls(ldap3.Tls):
    """TLS as Python's own defaults have it; ldap3's own verifies nothing unless told, and names
    only after the handshake."""

    def __init__(self, context: ssl.SSLContext) -> None:
        super().__init__(validate=ssl.CERT_REQUIRED)
        self._context = context

    def wrap_socket(self, connection: Any, do_handshake: bool = False) -> None:
        plain = connection.socket
        if isinstance(plain, _DeadlineSocket):
            plain.allow_remaining()
            plain = plain.socket
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.socket = self._context.wrap_socket(plain, server_hostname=connection.server.host)


class Link:
    """One connection to one server; used by one thread at a time."""

    def __init__(
        self, address: ServerAddress, context: ssl.SSLContext | None, deadline: float
    ) -> None:
        """Connect, and verify TLS unless the address says none.

        Raises:
            Exception: of any kind, as ldap3 does.
        """
        server = ldap3.Server(
            address.host,
            address.port,
            use_ssl=address.tls == "ldaps",
            tls=_VerifyingTls(context) if context else None,
            get_info=ldap3.NONE,
            allowed_referral_hosts=[],
            connect_timeout=max(deadline - time.monotonic(), 0.001),
        )
        self.address = address
        self.idle_since = 0.0
        self._next_deadline: Callable[[], float] = lambda: deadline
        self._connection = ldap3.Connection(
            server,
            client_strategy=ldap3.SAFE_SYNC,
            auto_referrals=False,
            auto_range=False,
            auto_escape=False,
            check_names=False,
            raise_exceptions=False,
        )
        try:
            self._connection.open(read_server_info=False)
            self._hold_socket(deadline)
            if address.tls == "start_tls":
                self._connection.start_tls(read_server_info=False)
                self._hold_socket(deadline)
            if address.tls != "none" and not isinstance(self._socket.socket, ssl.SSLSocket):
                raise Unusable("TLS is not in place")
        except BaseException:
            if self._connection.socket is not None:
                self._connection.socket.close()
            raise

    def _hold_socket(self, deadline: float) -> None:
        self._connection.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket = _DeadlineSocket(self._connection.socket, deadline)
        self._connection.socket = self._socket

    def limit_each(self, next_deadline: Callable[[], float]) -> None:
        """Give every operation that follows a deadline of its own."""
        self._next_deadline = next_deadline

    def is_alive(self) -> bool:
        return not self._connection.closed and self._socket.is_silent()

    def bind(self, dn: str, password: str) -> bool:
        """Log in; False if the server refuses the name or the password.

        Raises:
            Exception: of any kind, as ldap3 does.
        """
        if not dn or not password:
            raise ValueError("a bind without name or password proves nothing")
        self._connection.user = dn
        # As bytes, since ldap3 maps text first, and some to nothing: a bind that any server grants.
        self._connection.password = password.encode()
        self._connection.authentication = ldap3.SIMPLE
        self._socket.until(self._next_deadline())
        _, result, _, _ = self._connection.bind(read_server_info=False)
        self._connection.password = None
        code = result["result"]
        if code == SUCCESS:
            return True
        if code in WRONG_PASSWORD:
            return False
        raise Unusable(f"bind: {result['description']}", down=code in (BUSY, UNAVAILABLE))

    def search(self, base: str, search_filter: str, attributes: Iterable[str]) -> list[Entry]:
        """All entries that match.

        Raises:
            TooMany: the server gives out only some of them.
            Exception: of any kind, as ldap3 does.
        """
        self._socket.until(self._next_deadline())
        _, result, response, _ = self._connection.search(
            base,
            search_filter,
            attributes=list(attributes),
            dereference_aliases=ldap3.DEREF_NEVER,
        )
        code, description = result["result"], f"search below {base}: {result['description']}"
        if code in (SIZE_LIMIT, ADMIN_LIMIT):
            raise TooMany(description)
        if code != SUCCESS:
            raise Unusable(description, down=code in (BUSY, UNAVAILABLE))
        # The others are references to other servers, which nobody vouches for.
        return [_entry(item) for item in response if item["type"] == "searchResEntry"]

    def close(self) -> None:
        self._socket.close()


def _entry(item: Mapping[str, Any]) -> Entry:
    return Entry(
        dn=item["dn"],
        attributes={
            name.lower(): tuple(value.decode(errors="backslashreplace") for value in values or ())
            for name, values in item["raw_attributes"].items()
        },
    )


def term(attribute: str, value: str) -> str:
    """The filter for entries that have this value, whatever characters are in it."""
    return f"({attribute}={''.join(map(_escaped, value))})"


def _escaped(character: str) -> str:
    """More than the standard asks for: ldap3 strips spaces, and reads some signs as operators."""
    if character.isascii() and (character.isalnum() or character in "._-@=,"):
        return character
    return "".join(f"\\{byte:02x}" for byte in character.encode())


def is_filter(text: str) -> bool:
    """Whether this is one LDAP filter, in its parentheses."""
    try:
        parse_filter(text, None, False, False, None, False)  # type: ignore[no-untyped-call]
    except LDAPInvalidFilterError:
        return False
    return text.startswith("(")


def name_below(attribute: str, value: str, base: str) -> str:
    """The distinguished name of an entry below ``base``, whatever characters are in ``value``."""
    return f"{attribute}={escape_rdn(value)},{base}"


def any_of(terms: Iterable[str]) -> str:
    """The filter for entries that match one of the filters, or more."""
    return f"(|{''.join(sorted(set(terms)))})"
