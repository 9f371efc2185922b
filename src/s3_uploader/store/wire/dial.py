"""Open connections: every address family tried, TLS verified."""

import asyncio
import errno
import os
import socket
import ssl
import time
from dataclasses import dataclass, field
from typing import Any, cast
from urllib.parse import urlsplit

import aiohappyeyeballs
import anyio

from s3_uploader import to_thread

HAPPY_EYEBALLS_DELAY = 0.25
"""Seconds before the next address is tried beside the first (RFC 8305, section 5)."""

_LOOKUP_SECONDS = 1.0
"""How long the addresses of a host are taken for true: a burst of connections is one lookup."""

AddrInfo = aiohappyeyeballs.AddrInfoType


class _Lookup:
    """The addresses of a host, looked up once for all who dial at about the same time."""

    def __init__(self) -> None:
        self._lock = anyio.Lock()
        self._until = 0.0
        self._found: list[AddrInfo] | OSError = []

    async def __call__(self, host: str, port: int) -> list[AddrInfo]:
        """Return the addresses of `host`.

        Raises:
            OSError: it has none, or the lookup failed.
        """
        async with self._lock:
            if time.monotonic() >= self._until:
                try:
                    self._found = await to_thread.run_sync(
                        _addresses, host, port, abandon_on_cancel=True
                    )
                except OSError as error:
                    self._found = error
                self._until = time.monotonic() + _LOOKUP_SECONDS
        if isinstance(self._found, OSError):
            raise self._found
        return self._found


def _addresses(host: str, port: int) -> list[AddrInfo]:
    try:
        return list(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
    except socket.gaierror:
        # The C library calls a host unknown also where it cannot open the files that name it.
        os.close(os.open(os.devnull, os.O_RDONLY))
        raise


class _Connector:
    """What aiohappyeyeballs asks of an event loop: to connect a socket."""

    async def sock_connect(self, sock: socket.socket, address: Any) -> None:
        """Connect a non-blocking socket to an address that needs no looking up."""
        code = sock.connect_ex(address)
        if code == errno.EINPROGRESS:
            await _writable(sock)
            code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code:
            raise OSError(code, os.strerror(code))


async def _writable(sock: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    ready: asyncio.Future[None] = loop.create_future()

    def notify() -> None:
        if not ready.done():
            ready.set_result(None)

    loop.add_writer(sock, notify)
    try:
        await ready
    finally:
        loop.remove_writer(sock)


@dataclass(frozen=True, slots=True)
class Origin:
    """Where to connect. `context` is None for plain http; `authority` is the Host header."""

    host: str
    port: int
    context: ssl.SSLContext | None
    connect_timeout: float
    _lookup: _Lookup = field(default_factory=_Lookup, compare=False, repr=False)

    @classmethod
    def of(
        cls, endpoint_url: str, context: ssl.SSLContext | None, connect_timeout: float
    ) -> "Origin":
        """Take host and port from the endpoint."""
        parts = urlsplit(endpoint_url)
        port = parts.port or (443 if context else 80)
        return cls(parts.hostname or "", port, context, connect_timeout)

    @property
    def authority(self) -> str:
        """Host header: the port only where it is not the scheme's own."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (443 if self.context else 80) else f"{host}:{self.port}"

    async def dial(self) -> socket.socket:
        """Return a connected, non-blocking socket.

        Neither looked up nor connected by the event loop. Asyncio's threads end with the main
        thread; those of uvloop's C library end the process where they cannot be started, and
        crash a forked child when it ends.

        Raises:
            OSError: unknown host, refused, or TimeoutError after `connect_timeout` seconds.
            ResourceError: this process lacks a descriptor or a thread for it.
        """
        async with asyncio.timeout(self.connect_timeout):
            addresses = await self._lookup(self.host, self.port)
            connection = await aiohappyeyeballs.start_connection(
                addresses,
                happy_eyeballs_delay=HAPPY_EYEBALLS_DELAY,
                interleave=1,
                loop=cast("asyncio.AbstractEventLoop", _Connector()),
            )
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        return connection
