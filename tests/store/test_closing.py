"""Connections of requests that were broken off: closed at once, whatever of them is unsent."""

import asyncio
import os
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import anyio
import anyio.lowlevel
import pytest
import trustme

from lanes import open_sockets
from s3_uploader import Profile, StoreError, UploadConfig
from s3_uploader.checksums import Checksum
from s3_uploader.sizes import KIB, MIB
from s3_uploader.store import PutOptions
from s3_uploader.store.open import open_store

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.parametrize("lane", ["wire", "boto"]),
    pytest.mark.parametrize("scheme", ["http", "https"]),
    pytest.mark.parametrize(
        "anyio_backend",
        [
            pytest.param(("asyncio", {"use_uvloop": uvloop}), id="uvloop" if uvloop else "asyncio")
            for uvloop in (False, True)
        ],
    ),
]


class _Body:
    """More than the system buffers between two sockets, in one piece: the loop holds the rest."""

    size = 32 * MIB
    md5 = content_md5 = ""
    checksum: Checksum | None = None

    async def chunks(self) -> AsyncIterator[bytes]:
        yield bytes(self.size)

    def blocks(self, buffer: memoryview) -> Iterator[memoryview]:
        for _ in range(0, self.size, len(buffer)):
            yield buffer


@dataclass
class _StalledServer:
    """A server that stops reading within the body of each request."""

    url: str = ""
    stalled: asyncio.Event = field(default_factory=asyncio.Event)
    writers: list[asyncio.StreamWriter] = field(default_factory=list)
    sockets: set[str] = field(default_factory=set)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writers.append(writer)
        descriptor = writer.get_extra_info("socket").fileno()
        self.sockets.add(os.readlink(f"/proc/self/fd/{descriptor}"))
        await reader.readuntil(b"\r\n\r\n")
        await reader.readexactly(64 * KIB)
        self.stalled.set()


@asynccontextmanager
async def _stalled_server(context: ssl.SSLContext | None) -> AsyncGenerator[_StalledServer]:
    server = _StalledServer()
    listener = await asyncio.start_server(server.serve, "127.0.0.1", 0, ssl=context)
    port = listener.sockets[0].getsockname()[1]
    server.url = f"https://localhost:{port}" if context else f"http://127.0.0.1:{port}"
    try:
        yield server
    finally:
        listener.close()
        for writer in server.writers:
            writer.transport.abort()
        await anyio.lowlevel.checkpoint()


@pytest.fixture
def authority(scheme: str, tmp_path: Path) -> trustme.CA | None:
    """Who signs the server's certificate; `tmp_path / "ca.pem"` trusts it."""
    if scheme == "http":
        return None
    made = trustme.CA()
    made.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    return made


@pytest.fixture
def context(authority: trustme.CA | None) -> ssl.SSLContext | None:
    if authority is None:
        return None
    server_side = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(server_side)
    return server_side


@pytest.fixture
def config(lane: str, context: ssl.SSLContext | None, tmp_path: Path) -> UploadConfig:
    return UploadConfig(
        lane="boto" if lane == "boto" else "auto",
        ca_bundle=str(tmp_path / "ca.pem") if context else None,
    )


def _profile(server: _StalledServer) -> Profile:
    return Profile(
        name="p",
        endpoint_url=server.url,
        region="r",
        bucket="bucket",
        access_key="a",
        secret_key="s",
    )


async def test_closed_store_has_no_connection_of_a_cancelled_request(
    context: ssl.SSLContext | None, config: UploadConfig
) -> None:
    """A loop that ends after its store would leave it to the garbage collector."""
    async with _stalled_server(context) as server:
        before = open_sockets()
        async with open_store(_profile(server), config) as store:
            task = asyncio.create_task(store.put_object("k", _Body(), PutOptions("a/b")))
            with anyio.fail_after(20):
                await server.stalled.wait()
            task.cancel()
            await asyncio.wait([task])
            assert task.cancelled()
        assert open_sockets() - before - server.sockets == set()


async def test_open_store_has_no_connection_of_a_stalled_request(
    context: ssl.SSLContext | None, config: UploadConfig
) -> None:
    """A service would otherwise hold one more after each attempt."""
    quick = replace(config, stall_timeout=0.3, response_timeout=0.3)
    async with _stalled_server(context) as server:
        before = open_sockets()
        async with open_store(_profile(server), quick) as store:
            with pytest.raises(StoreError) as caught:
                await store.put_object("k", _Body(), PutOptions("a/b"))
            assert caught.value.retryable
            with anyio.fail_after(20):
                while open_sockets() - before - server.sockets:
                    await anyio.lowlevel.checkpoint()
