"""What servers and networks do, and how long a user waits for it."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
import time
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from demo.certificates import Authority
from demo.slapd import Slapd
from savu_spawner.errors import DirectoryUnavailable
from savu_spawner.identity import Identity
from tests.directory.conftest import PASSWORD, Ask, StartServer, directory_threads
from tests.support.faulty_proxy import BlackHole, FaultyProxy, Trap

BIND_PASSWORD = "a-password-that-must-not-be-seen"


LATE = 20.0
"""Seconds: far later than any deadline here, far sooner than what would go on for ever."""


class Stopwatch:
    def __init__(self) -> None:
        self._since = time.monotonic()

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._since


@pytest.fixture
def proxy(server: Slapd) -> Iterator[FaultyProxy]:
    with FaultyProxy(("127.0.0.1", server.port)) as proxy:
        yield proxy


@pytest.fixture
def plain_proxy(server: Slapd) -> Iterator[FaultyProxy]:
    with FaultyProxy(("127.0.0.1", server.plain_port)) as proxy:
        yield proxy


def url(port: int, scheme: str = "ldaps") -> str:
    return f"{scheme}://127.0.0.1:{port}"


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def open_sockets() -> int:
    count = 0
    for descriptor in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):
            count += str(descriptor.readlink()).startswith("socket:")
    return count


@contextlib.asynccontextmanager
async def heartbeat() -> AsyncIterator[list[float]]:
    """How late the event loop was, each time it was asked for 5 ms, in seconds."""
    lags = [0.0]

    async def beat() -> None:
        while True:
            due = time.monotonic() + 0.005
            await asyncio.sleep(0.005)
            lags.append(time.monotonic() - due)

    task = asyncio.create_task(beat())
    try:
        yield lags
    finally:
        task.cancel()


async def test_closed_port_is_said_at_once(ask: Ask) -> None:
    directory = ask(servers=[url(closed_port())], timeout=120)
    watch = Stopwatch()
    with pytest.raises(DirectoryUnavailable, match="not available at the moment"):
        await directory.identity("ada")
    assert watch.seconds < LATE


@pytest.mark.parametrize("fault", ["silent", "drip"])
async def test_server_without_an_answer_is_given_up(
    server: Slapd, ask: Ask, proxy: FaultyProxy, fault: str
) -> None:
    proxy.fault = fault  # type: ignore[assignment]
    proxy.drip_seconds = 0.1
    directory = ask(server, servers=[url(proxy.port)], timeout=1)
    watch = Stopwatch()
    with pytest.raises(DirectoryUnavailable):
        await directory.identity("ada")
    assert watch.seconds < LATE
    await directory.close()
    for thread in directory_threads():
        thread.join(LATE)
    assert not directory_threads()


@pytest.mark.parametrize("fault", ["silent", "drip"])
async def test_plain_server_without_an_answer_is_given_up(
    server: Slapd, ask: Ask, plain_proxy: FaultyProxy, fault: str
) -> None:
    """Without TLS each byte that drips in is one that a time-out for each read is content with."""
    plain_proxy.fault = fault  # type: ignore[assignment]
    plain_proxy.drip_seconds = 0.1
    directory = ask(servers=[url(plain_proxy.port, "ldap")], tls="none", timeout=1)
    watch = Stopwatch()
    with pytest.raises(DirectoryUnavailable):
        await directory.identity("ada")
    assert watch.seconds < LATE


async def test_dropped_connection_requests_are_given_up(ask: Ask) -> None:
    with BlackHole() as hole:
        directory = ask(servers=[url(hole.port)], timeout=1)
        watch = Stopwatch()
        with pytest.raises(DirectoryUnavailable):
            await directory.identity("ada")
        assert watch.seconds < LATE


async def test_default_deadline_is_five_seconds(server: Slapd, ask: Ask) -> None:
    with BlackHole() as hole:
        directory = ask(servers=[url(hole.port)])
        assert directory.timeout == 5
        watch = Stopwatch()
        with pytest.raises(DirectoryUnavailable):
            await directory.identity("ada")
        assert watch.seconds < LATE


async def test_second_server_answers_for_a_closed_first(server: Slapd, ask: Ask) -> None:
    directory = ask(server, servers=[url(closed_port()), server.url], timeout=LATE)
    assert (await directory.identity("ada")).uid == 21001


async def test_second_server_answers_for_one_that_drops_connections(
    server: Slapd, ask: Ask
) -> None:
    with BlackHole() as hole:
        directory = ask(server, servers=[url(hole.port), server.url], timeout=LATE)
        assert (await directory.identity("ada")).uid == 21001


async def test_second_server_answers_for_a_silent_first_which_is_then_left_alone(
    server: Slapd, ask: Ask, proxy: FaultyProxy
) -> None:
    proxy.fault = "silent"
    directory = ask(
        server, servers=[url(proxy.port), server.url], timeout=LATE, retry_after=10 * LATE
    )
    assert (await directory.identity("ada")).uid == 21001
    before = proxy.connections
    assert before
    assert (await directory.identity("ada")).uid == 21001
    assert await directory.check_password("ada", PASSWORD)
    assert proxy.connections == before


async def test_first_server_is_asked_again_when_it_is_back(
    server: Slapd, ask: Ask, proxy: FaultyProxy
) -> None:
    directory = ask(
        server,
        servers=[url(proxy.port), server.url],
        retry_after=0.2,
        timeout=2 * LATE,
        server_timeout=LATE,
    )
    proxy.refuse()
    await directory.identity("ada")
    proxy.accept()
    assert proxy.connections == 0
    await asyncio.sleep(0.25)
    await directory.identity("ada")
    assert proxy.connections > 0
    for _ in range(3):
        before = len(proxy.received)
        await directory.identity("ada")
        assert len(proxy.received) > before, "the first server is the preferred one again"


async def test_round_trips_of_200_ms_cost_one_of_them(
    server: Slapd, ask: Ask, proxy: FaultyProxy
) -> None:
    """Of 2 s here, for a second one to be told from a busy machine."""
    directory = ask(server, servers=[url(proxy.port)], timeout=LATE, server_timeout=LATE)
    await directory.identity("ada")
    proxy.round_trip = 2.0
    watch = Stopwatch()
    await directory.identity("ada")
    assert watch.seconds < 4


@pytest.mark.parametrize("fault", ["round trip", "silent", "SYN"])
async def test_event_loop_goes_on_meanwhile(
    server: Slapd, ask: Ask, proxy: FaultyProxy, fault: str
) -> None:
    proxy.fault = "silent" if fault == "silent" else "none"
    # A call that blocks does it for as long as the server takes: 2 s or more.
    proxy.round_trip = 2.0
    smallest = LATE
    with BlackHole() as hole:
        port = hole.port if fault == "SYN" else proxy.port
        # Other programs on the machine delay us now and then; a call that blocks does it always.
        for _ in range(5):
            directory = ask(server, servers=[url(port)], timeout=3)
            async with heartbeat() as lags:
                with contextlib.suppress(DirectoryUnavailable):
                    await directory.identity("ada")
            assert len(lags) > 1
            smallest = min(smallest, max(lags))
            if smallest < 1:
                return
    pytest.fail(f"the event loop was blocked for {smallest * 1000:.0f} ms")


async def test_restart_between_questions_is_not_noticed(
    start_server: StartServer, ask: Ask
) -> None:
    slapd = start_server()
    directory = ask(slapd)
    before = await directory.identity("ada")
    slapd.restart()
    assert await directory.identity("ada") == before
    assert await directory.check_password("ada", PASSWORD)


async def test_forgotten_connection_is_opened_anew(
    server: Slapd, ask: Ask, plain_proxy: FaultyProxy
) -> None:
    """A firewall drops what arrives on a connection that it forgot, and lets new ones through."""
    directory = ask(
        servers=[url(plain_proxy.port, "ldap")], tls="none", timeout=LATE, server_timeout=0.5
    )
    await directory.identity("ada")
    before = plain_proxy.connections
    plain_proxy.forget()
    assert (await directory.identity("ada")).uid == 21001
    assert plain_proxy.connections > before


async def test_connections_are_kept(server: Slapd, ask: Ask, proxy: FaultyProxy) -> None:
    directory = ask(server, servers=[url(proxy.port)])
    for _ in range(10):
        await directory.identity("ada")
    # User and groups are asked for at the same time.
    assert 1 <= proxy.connections <= 2


async def test_unused_connections_are_given_up(server: Slapd, ask: Ask, proxy: FaultyProxy) -> None:
    directory = ask(server, servers=[url(proxy.port)], keep_seconds=0.1)
    await directory.identity("ada")
    before = proxy.connections
    await asyncio.sleep(0.15)
    await directory.identity("ada")
    assert proxy.connections > before


async def test_nothing_is_left_after_faults(server: Slapd, ask: Ask, proxy: FaultyProxy) -> None:
    before = open_sockets()
    directory = ask(server, servers=[url(proxy.port)], timeout=0.5)
    for fault in ("none", "silent", "drip", "none"):
        proxy.cut()
        proxy.fault = fault  # type: ignore[assignment]
        with contextlib.suppress(DirectoryUnavailable):
            await directory.identity("ada")
        with contextlib.suppress(DirectoryUnavailable):
            await directory.check_password("ada", PASSWORD)
    await directory.close()
    proxy.cut()
    for thread in directory_threads():
        thread.join(2)
    assert not directory_threads()
    assert open_sockets() <= before


async def test_more_questions_than_threads_are_all_answered(server: Slapd, ask: Ask) -> None:
    directory = ask(server, threads=2, timeout=10 * LATE)
    answers = await asyncio.gather(*(directory.identity("ada") for _ in range(50)))
    assert {answer.uid for answer in answers} == {21001}


async def test_waiting_for_a_thread_counts(server: Slapd, ask: Ask, proxy: FaultyProxy) -> None:
    """Many users during an outage wait as long as one."""
    proxy.fault = "silent"
    directory = ask(server, servers=[url(proxy.port)], threads=2, timeout=4)
    watch = Stopwatch()
    answers = await asyncio.gather(
        *(directory.identity("ada") for _ in range(20)), return_exceptions=True
    )
    assert {type(answer) for answer in answers} == {DirectoryUnavailable}
    assert watch.seconds < LATE, "one after the other they would wait for 40 s"
    proxy.fault = "none"
    assert isinstance(await directory.identity("ada"), Identity)


async def test_name_service_that_hangs_is_given_up(
    ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing ends a thread that waits for it; the user does not wait along."""
    released = threading.Event()
    with monkeypatch.context() as patched:

        def hang(*_: object) -> list[object]:
            released.wait(10 * LATE)
            raise socket.gaierror("gave up")

        patched.setattr(socket, "getaddrinfo", hang)
        directory = ask(servers=["ldaps://ldap.facility.example"], timeout=0.3, threads=2)
        watch = Stopwatch()
        for _ in range(2):
            with pytest.raises(DirectoryUnavailable):
                await directory.identity("ada")
        assert watch.seconds < LATE
        assert len(directory_threads()) == 2
        released.set()
        await directory.close()
        for thread in directory_threads():
            thread.join(5)


async def test_something_else_than_ldap_is_not_believed(ask: Ask) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n" * 10)
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as other:
        port = other.sockets[0].getsockname()[1]
        directory = ask(servers=[url(port, "ldap")], tls="none", timeout=1)
        with pytest.raises(DirectoryUnavailable):
            await directory.identity("ada")


async def test_endless_answer_is_cut(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("savu_spawner.directory.connections.ANSWER_LIMIT", 2**20)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        # One message that says it is 2 GB long.
        writer.write(b"\x30\x84\x7f\xff\xff\xff")
        with contextlib.suppress(OSError):
            while True:
                writer.write(b"\0" * 65536)
                await writer.drain()
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as other:
        port = other.sockets[0].getsockname()[1]
        directory = ask(servers=[url(port, "ldap")], tls="none", timeout=5)
        with pytest.raises(DirectoryUnavailable) as refused:
            await directory.identity("ada")
        assert "answer of more than" in refused.value.log_message


# -- TLS -------------------------------------------------------------------------------------------


@pytest.fixture(params=["unknown authority", "expired", "wrong host", "self-signed"])
def untrusted(request: pytest.FixtureRequest, start_server: StartServer) -> Slapd:
    """A server that somebody else might run."""
    authority = Authority.new()
    match request.param:
        case "expired":
            slapd = start_server(
                authority=authority,
                certificate_since=datetime.now(UTC) - timedelta(days=30),
                certificate_lifetime=timedelta(days=10),
            )
        case "wrong host":
            slapd = start_server(
                authority=authority, certificate_names=["ldap.elsewhere.example", "127.0.0.2"]
            )
        case "self-signed":
            slapd = start_server(self_signed=True)
            slapd.ca_file.write_bytes(authority.certificate)
        case _:
            slapd = start_server(authority=authority)
            slapd.ca_file.write_bytes(Authority.new().certificate)
    return slapd


@pytest.mark.parametrize("tls", ["ldaps", "start_tls"])
async def test_untrusted_certificate_is_refused_before_any_password(
    untrusted: Slapd, ask: Ask, tls: str
) -> None:
    with (
        FaultyProxy(("127.0.0.1", untrusted.port)) as secure,
        FaultyProxy(("127.0.0.1", untrusted.plain_port)) as plain,
    ):
        used = secure if tls == "ldaps" else plain
        directory = ask(
            untrusted,
            servers=[url(used.port, "ldaps" if tls == "ldaps" else "ldap")],
            tls=tls,
            bind_dn="uid=ada,ou=people,dc=facility,dc=example",
            bind_password=BIND_PASSWORD,
        )
        for question in (directory.identity("ada"), directory.check_password("ada", PASSWORD)):
            with pytest.raises(DirectoryUnavailable) as refused:
                await question
            assert "certificate" in refused.value.log_message.lower()
        assert used.connections > 0
        for secret in (BIND_PASSWORD, PASSWORD):
            assert secret.encode() not in secure.received + plain.received


async def test_server_without_start_tls_gets_no_password(
    server: Slapd, ask: Ask, start_server: StartServer
) -> None:
    slapd = start_server(with_tls=False)
    with FaultyProxy(("127.0.0.1", slapd.plain_port)) as proxy:
        directory = ask(
            server,
            servers=[url(proxy.port, "ldap")],
            tls="start_tls",
            bind_dn="uid=ada,ou=people,dc=facility,dc=example",
            bind_password=BIND_PASSWORD,
        )
        for question in (directory.identity("ada"), directory.check_password("ada", PASSWORD)):
            with pytest.raises(DirectoryUnavailable):
                await question
        assert BIND_PASSWORD.encode() not in proxy.received
        assert PASSWORD.encode() not in proxy.received


async def test_password_is_not_readable_on_the_way(
    server: Slapd, ask: Ask, plain_proxy: FaultyProxy
) -> None:
    directory = ask(server, servers=[url(plain_proxy.port, "ldap")], tls="start_tls")
    assert await directory.check_password("ada", PASSWORD)
    assert plain_proxy.connections
    assert PASSWORD.encode() not in plain_proxy.received


# -- Referrals -------------------------------------------------------------------------------------


async def test_reference_to_another_server_is_not_followed(
    start_server: StartServer, ask: Ask
) -> None:
    with Trap() as trap:
        elsewhere = (
            "dn: ou=elsewhere,ou=people,dc=facility,dc=example\nobjectClass: referral\n"
            "objectClass: extensibleObject\nou: elsewhere\n"
            f"ref: ldap://127.0.0.1:{trap.port}/ou=people,dc=facility,dc=example"
        )
        slapd = start_server(elsewhere)
        service = {
            "bind_dn": "uid=ada,ou=people,dc=facility,dc=example",
            "bind_password": PASSWORD,
        }
        directory = ask(slapd, **service)
        assert (await directory.identity("ada")).uid == 21001
        assert await directory.check_password("ada", PASSWORD)
        referred = ask(slapd, user_base="ou=elsewhere,ou=people,dc=facility,dc=example", **service)
        for question in (referred.identity("ada"), referred.check_password("ada", PASSWORD)):
            with pytest.raises(DirectoryUnavailable) as refused:
                await question
            assert "referral" in refused.value.log_message
        assert not trap.touched
