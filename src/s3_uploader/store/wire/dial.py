"""Open connections: every address family tried, TLS verified."""

import asyncio
import socket
import ssl
from dataclasses import dataclass
from urllib.parse import urlsplit

import aiohappyeyeballs

HAPPY_EYEBALLS_DELAY = 0.25
"""Seconds before the next address is tried beside the first (RFC 8305, section 5)."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where to connect. `context` is None for plain http; `authority` is the Host header."""

    host: str
    port: int
    context: ssl.SSLContext | None
    connect_timeout: float

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

        Raises:
            OSError: unknown host, refused, or TimeoutError after `connect_timeout` seconds.
        """
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(self.connect_timeout):
            addresses = await loop.getaddrinfo(self.host, self.port, type=socket.SOCK_STREAM)
            connection = await aiohappyeyeballs.start_connection(
                addresses, happy_eyeballs_delay=HAPPY_EYEBALLS_DELAY, interleave=1
            )
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        return connection
