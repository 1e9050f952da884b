"""Asks the servers in their order, in a bounded number of threads, on connections that are kept."""

from __future__ import annotations

import asyncio
import ssl
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final, TypeVar

from savu_spawner.directory.connections import Link, ServerAddress, Unusable
from savu_spawner.directory.settings import LdapSettings
from savu_spawner.errors import DirectoryUnavailable

T = TypeVar("T")

UNAVAILABLE_SENTENCE: Final = (
    "The directory of users is not available at the moment. Try again in a few minutes."
)


@dataclass(frozen=True)
class _Patience:
    """The deadline of each next operation: soon, and never after the whole question's."""

    seconds: float
    until: float

    def __call__(self) -> float:
        return min(time.monotonic() + self.seconds, self.until)


class _IdleLinks:
    """Connections to one server that are open and not in use; the last one used comes first."""

    def __init__(self, keep_seconds: float) -> None:
        self._keep_seconds = keep_seconds
        self._links: deque[Link] = deque()
        self._lock = threading.Lock()

    def take(self) -> Link | None:
        """One that is alive as far as can be seen from here, or None."""
        while True:
            with self._lock:
                if not self._links:
                    return None
                link = self._links.pop()
            if not self._is_old(link) and link.is_alive():
                return link
            link.close()

    def put(self, link: Link) -> None:
        """Keep this one, and no old ones."""
        link.idle_since = time.monotonic()
        with self._lock:
            self._links.append(link)
            while self._links and self._is_old(self._links[0]):
                self._links.popleft().close()

    def close(self) -> None:
        with self._lock:
            while self._links:
                self._links.pop().close()

    def _is_old(self, link: Link) -> bool:
        return time.monotonic() - link.idle_since > self._keep_seconds


class Servers:
    """The directory's servers as one that answers in time, or says that it does not.

    Threads and connections are made when they are first needed; :meth:`close` ends them.
    """

    def __init__(self, settings: LdapSettings) -> None:
        """
        Raises:
            TraitError: the settings cannot be meant.
        """
        self._settings = settings
        self._log = settings.log
        self._addresses = settings.checked_addresses()
        self._context: ssl.SSLContext | None = settings.tls_context()
        self._idle = {address: _IdleLinks(settings.keep_seconds) for address in self._addresses}
        self._failed_until = dict.fromkeys(self._addresses, 0.0)
        self._executor: ThreadPoolExecutor | None = None

    async def run(self, ask: Callable[[Link], T], deadline: float, *, pooled: bool = True) -> T:
        """What ``ask`` returns, called in a thread, with a connection to the first usable server.

        Args:
            pooled: whether the connection is one that asks as ``bind_dn`` and is kept.

        Raises:
            DirectoryUnavailable: at the deadline, if not before.
        """
        if self._executor is None:
            self._executor = ThreadPoolExecutor(self._settings.threads, thread_name_prefix="ldap")
        loop = asyncio.get_running_loop()
        answer = loop.run_in_executor(self._executor, self._exchange, ask, deadline, pooled)
        # A little later than the thread itself, which knows better what it waited for.
        patience = max(deadline - time.monotonic(), 0) + 0.1
        try:
            return await asyncio.wait_for(answer, patience)
        except TimeoutError:
            raise DirectoryUnavailable(
                UNAVAILABLE_SENTENCE,
                log_message=f"LDAP: all threads waited in vain for {self._settings.timeout:g} s",
            ) from None

    def _exchange(self, ask: Callable[[Link], T], deadline: float, pooled: bool) -> T:
        failures = []
        candidates = self._candidates()
        for address in candidates:
            if time.monotonic() >= deadline:
                break
            try:
                answer = self._ask_one(address, ask, deadline, pooled, address == candidates[-1])
            except Exception as error:  # on malformed answers ldap3 fails in any way
                failures.append(f"{address}: {error or type(error).__name__}")
                if not isinstance(error, Unusable) or error.down:
                    self._failed_until[address] = time.monotonic() + self._settings.retry_after
                continue
            if failures:
                self._log.warning("LDAP: %s; asked %s instead", "; ".join(failures), address)
            self._failed_until[address] = 0.0
            return answer
        raise DirectoryUnavailable(
            UNAVAILABLE_SENTENCE, log_message=f"LDAP: {'; '.join(failures) or 'no time left'}"
        )

    def _candidates(self) -> list[ServerAddress]:
        """Servers in their order; those that failed of late at the end."""
        now = time.monotonic()
        failed_until = dict(self._failed_until)
        for address, until in failed_until.items():
            if 0 < until <= now:
                # Tried again now, by this thread; meanwhile others go on without it.
                self._failed_until[address] = now + self._settings.retry_after
        return sorted(self._addresses, key=lambda address: failed_until[address] > now)

    def _ask_one(
        self,
        address: ServerAddress,
        ask: Callable[[Link], T],
        deadline: float,
        pooled: bool,
        is_last: bool,
    ) -> T:
        little = _Patience(self._settings.server_timeout, deadline)
        patience = _Patience(self._settings.timeout, deadline) if is_last else little
        if pooled and (link := self._idle[address].take()) is not None:
            try:
                return self._use(link, ask, little, pooled)
            except Unusable:
                raise
            except Exception as error:
                # Dead without having said so: the server was restarted, or a firewall forgot the
                # connection, and then it forgot the others, too.
                self._log.info("LDAP: connection to %s was dead (%s)", address, error)
                self._idle[address].close()
        link = Link(address, self._context, patience())
        if pooled and self._settings.bind_dn:
            try:
                link.limit_each(patience)
                if not link.bind(self._settings.bind_dn, self._settings.service_password()):
                    raise Unusable("the server refuses LdapDirectory.bind_dn", down=False)
            except BaseException:
                link.close()
                raise
        return self._use(link, ask, patience, pooled)

    def _use(self, link: Link, ask: Callable[[Link], T], patience: _Patience, pooled: bool) -> T:
        """``ask``, then keep the connection if it is sound and there is use for it."""
        try:
            link.limit_each(patience)
            answer = ask(link)
        except BaseException:
            link.close()
            raise
        if pooled and self._executor is not None:
            self._idle[link.address].put(link)
        else:
            link.close()
        return answer

    def close(self) -> None:
        """End threads and connections; the next question opens new ones."""
        executor, self._executor = self._executor, None
        if executor is not None:
            executor.shutdown(wait=False, cancel_futures=True)
        for links in self._idle.values():
            links.close()
