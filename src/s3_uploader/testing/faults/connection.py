"""Connections to the client and to the server."""

import asyncio
import socket
import ssl
import struct
from contextlib import suppress
from dataclasses import dataclass
from typing import Self
from urllib.parse import urlsplit

from s3_uploader.testing.faults.http import CHUNK


class UpstreamError(Exception):
    """The server cannot be reached, breaks the connection off, or speaks no HTTP."""


class Connection:
    """A connection, with nothing buffered between us and the kernel once `send` has returned.

    Attributes:
        sent: bytes that the kernel has accepted so far.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.transport.set_write_buffer_limits(high=0)
        self.reader = reader
        self._writer = writer
        self.sent = 0

    async def send(self, data: bytes) -> None:
        """Send data and wait until the kernel has it."""
        self._writer.write(data)
        await self._writer.drain()
        self.sent += len(data)

    async def linger(self, seconds: float) -> None:
        """End our side; read until the peer ends its own, for at most `seconds`."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                self._writer.write_eof()
                while await self.reader.read(CHUNK):
                    pass

    def close(self) -> None:
        """Close at once."""
        self._writer.transport.abort()

    def reset(self) -> None:
        """Close with RST."""
        sock = self._writer.get_extra_info("socket")
        with suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()


@dataclass(frozen=True, slots=True)
class Upstream:
    """The server's address; `tls` is None for plain HTTP."""

    host: str
    port: int
    tls: ssl.SSLContext | None = None

    @classmethod
    def at(cls, url: str, ca_bundle: str) -> Self:
        """Return the server at `url`; ValueError if that is no URL of one."""
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError(f"server={url!r}: allowed: http://…, https://…, or a running server")
        if parts.scheme == "http":
            return cls(parts.hostname, parts.port or 80)
        tls = ssl.create_default_context(cafile=ca_bundle or None)
        return cls(parts.hostname, parts.port or 443, tls)

    async def connect(self) -> Connection:
        """Open a connection.

        Raises:
            UpstreamError: connecting failed.
        """
        try:
            streams = await asyncio.open_connection(self.host, self.port, ssl=self.tls, limit=CHUNK)
        except OSError as error:
            raise UpstreamError(str(error)) from error
        return Connection(*streams)
