"""Each lane verifies chain and host name of a certificate: in each call, and behind a proxy."""

import asyncio
import ssl
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pytest
import trustme

from s3_uploader import Profile, StoreError, UploadConfig
from s3_uploader.store import BytesBody, ObjectStore, PutOptions
from s3_uploader.store.open import open_store
from scripted_server import QUICK, ReceivedRequest, open_lane_to, response, scripted_server
from test_responses import CALLS

pytestmark = pytest.mark.anyio

_OURS, _FOREIGN = "127.0.0.1", "other.example"


async def _get(store: ObjectStore) -> None:
    async for _ in store.get_object("k"):
        pass


_CALLS = CALLS | {"GetObject": _get}


class Authority:
    """An authority that everybody trusts, and certificates of it for any name."""

    def __init__(self, folder: Path) -> None:
        self._ca = trustme.CA()
        self.bundle = folder / "ca.pem"
        self._ca.cert_pem.write_to_path(str(self.bundle))
        # Nothing here is waited for in vain: a busy machine may take its time for a handshake.
        self.config = replace(
            QUICK,
            ca_bundle=str(self.bundle),
            connect_timeout=20,
            stall_timeout=20,
            response_timeout=20,
        )

    def server(self, name: str) -> ssl.SSLContext:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self._ca.issue_cert(name).configure_cert(context)
        return context


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"))


async def _accept(_request: ReceivedRequest, writer: asyncio.StreamWriter) -> None:
    writer.write(response())


@pytest.mark.parametrize("lane", ["wire", "boto"])
@pytest.mark.parametrize("call", list(_CALLS))
async def test_certificate_for_another_name_is_refused(
    authority: Authority, lane: str, call: str
) -> None:
    tls = authority.server(_FOREIGN)
    async with (
        scripted_server(_accept, tls) as server,
        open_lane_to(server, lane, authority.config) as store,
    ):
        with pytest.raises(StoreError) as caught:
            await _CALLS[call](store)
    assert (caught.value.code, caught.value.fatal, caught.value.retryable) == (
        "store.tls",
        True,
        False,
    )
    assert server.requests == []


@pytest.mark.parametrize("lane", ["wire", "boto"])
async def test_certificate_of_an_unknown_authority_is_refused(
    authority: Authority, lane: str
) -> None:
    config: UploadConfig = replace(authority.config, ca_bundle=None)
    tls = authority.server(_OURS)
    async with scripted_server(_accept, tls) as server, open_lane_to(server, lane, config) as store:
        with pytest.raises(StoreError) as caught:
            await CALLS["PutObject"](store)
    assert caught.value.code == "store.tls"
    assert server.requests == []


@pytest.mark.parametrize("lane", ["wire", "boto"])
async def test_certificate_for_the_name_is_accepted(authority: Authority, lane: str) -> None:
    tls = authority.server(_OURS)
    async with (
        scripted_server(_accept, tls) as server,
        open_lane_to(server, lane, authority.config) as store,
    ):
        assert (await CALLS["PutObject"](store)).etag == "00"


@pytest.mark.parametrize("lane", ["wire", "boto"])
@pytest.mark.usefixtures("boto")
async def test_bundle_of_an_aws_profile_is_trusted_for_it(
    authority: Authority, home: Path, lane: str
) -> None:
    async with scripted_server(_accept, authority.server(_OURS)) as server:
        (home / ".aws").mkdir()
        (home / ".aws" / "config").write_text(
            f"[profile acme]\nregion = r\nendpoint_url = {server.url}\n"
            f"ca_bundle = {authority.bundle}\naws_access_key_id = a\naws_secret_access_key = s\n"
        )
        profile = Profile(
            name="acme", endpoint_url="", region="", bucket="bucket", aws_profile="acme"
        )
        config = replace(QUICK, lane="boto" if lane == "boto" else "auto")
        async with open_store(profile, config) as store:
            assert store.lane == lane
            assert (await CALLS["PutObject"](store)).etag == "00"


@asynccontextmanager
async def _proxy() -> AsyncGenerator[str]:
    """Run an http proxy that connects to where CONNECT says."""
    opened: set[asyncio.StreamWriter] = set()

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while data := await reader.read(65_536):
                writer.write(data)
                await writer.drain()
        writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        opened.add(writer)
        line = (await reader.readuntil(b"\r\n\r\n")).split(b"\r\n")[0].decode()
        host, _, port = line.split(" ")[1].partition(":")
        to_reader, to_writer = await asyncio.open_connection(host, int(port))
        opened.add(to_writer)
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        await asyncio.gather(pump(reader, to_writer), pump(to_reader, writer))

    listener = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
    finally:
        listener.close()
        for writer in opened:
            writer.transport.abort()


@pytest.mark.parametrize(("name", "accepted"), [(_FOREIGN, False), (_OURS, True)])
@pytest.mark.usefixtures("boto")
async def test_name_is_verified_through_a_proxy(
    authority: Authority, monkeypatch: pytest.MonkeyPatch, name: str, *, accepted: bool
) -> None:
    async with _proxy() as proxy, scripted_server(_accept, authority.server(name)) as server:
        monkeypatch.setenv("HTTPS_PROXY", proxy)
        async with open_lane_to(server, "wire", authority.config) as store:
            assert store.lane == "boto"
            body = BytesBody(b"x")
            if accepted:
                await store.put_object("k", body, PutOptions("a/b"))
            else:
                with pytest.raises(StoreError) as caught:
                    await store.put_object("k", body, PutOptions("a/b"))
                assert caught.value.code == "store.tls"
    assert len(server.requests) == int(accepted)
