"""What the boto lane puts on the wire, seen by a server that records requests."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from s3_uploader import Profile, StoreError, UploadConfig
from s3_uploader.checksums import Checksum
from s3_uploader.store import BytesBody, PutOptions
from s3_uploader.store.boto.client import open_boto_store
from s3_uploader.store.boto.store import BotoStore

pytestmark = pytest.mark.anyio

_OK = 'HTTP/1.1 200 OK\r\nETag: "00"\r\nContent-Length: 0\r\n\r\n'


@dataclass
class Recorder:
    """A server on a free port that responds to every request with `response` and remembers it.

    An empty `response` means silence; `hang_up` closes the connection after the head instead.
    """

    response: str = _OK
    hang_up: bool = False
    lines: list[str] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    url: str = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                await self._request(head.decode("latin-1"), reader, writer)
                if self.hang_up:
                    break
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def _request(
        self, head: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        line, *fields = head.strip().split("\r\n")
        pairs = (item.split(":", 1) for item in fields)
        headers = {name.strip().lower(): value.strip() for name, value in pairs}
        self.lines.append(line)
        self.headers.append(headers)
        if not self.hang_up:
            self.bodies.append(await reader.readexactly(int(headers.get("content-length", 0))))
            writer.write(self.response.encode())
            await writer.drain()


@asynccontextmanager
async def _recording(
    recorder: Recorder, config: UploadConfig | None = None
) -> AsyncIterator[BotoStore]:
    listener = await asyncio.start_server(recorder.serve, "127.0.0.1", 0)
    try:
        port = listener.sockets[0].getsockname()[1]
        recorder.url = f"http://127.0.0.1:{port}"
        profile = Profile(
            name="p",
            endpoint_url=recorder.url,
            region="r",
            bucket="bucket",
            access_key="a",
            secret_key="s",
        )
        async with open_boto_store(profile, config or UploadConfig()) as store:
            yield store
    finally:
        listener.close()


class _Streamed:
    md5 = ""
    content_md5 = ""
    checksum: Checksum | None = None

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.size = len(data)

    async def chunks(self) -> AsyncIterator[bytes]:
        yield self.data

    def blocks(self, buffer: memoryview) -> Iterator[memoryview]:
        raise NotImplementedError


@pytest.mark.parametrize("data", [b"", b"some bytes"])
@pytest.mark.parametrize("streamed", [True, False])
async def test_body_is_sent_plainly(*, data: bytes, streamed: bool) -> None:
    """No Expect, which stalls; no checksums or chunk framing, which stores take for content."""
    body = _Streamed(data) if streamed else BytesBody(data)
    recorder = Recorder()
    async with _recording(recorder) as store:
        await store.put_object("k", body, PutOptions("a/b", {"n": "v"}))
        await store.upload_part("k", "id", 1, body)
    assert recorder.bodies == [data, data]
    for headers in recorder.headers:
        assert headers["content-length"] == str(len(data))
        assert {"expect", "transfer-encoding", "content-encoding"} & headers.keys() == set()
        assert [name for name in headers if "checksum" in name or "trailer" in name] == []
        assert "STREAMING" not in headers["x-amz-content-sha256"]
    assert recorder.headers[0]["content-type"] == "a/b"
    assert recorder.headers[0]["x-amz-meta-n"] == "v"


async def test_bucket_is_in_the_path() -> None:
    recorder = Recorder()
    async with _recording(recorder) as store:
        body = BytesBody(b"")
        await store.put_object("a b/é+%", body, PutOptions("a/b"))
    assert recorder.lines == ["PUT /bucket/a%20b/%C3%A9%2B%25 HTTP/1.1"]


async def test_content_md5_goes_with_a_body_in_memory() -> None:
    recorder = Recorder()
    async with _recording(recorder) as store:
        body = BytesBody(b"", "d41d8cd98f00b204e9800998ecf8427e")
        await store.put_object("k", body, PutOptions("a/b"))
    assert recorder.headers[0]["content-md5"] == "1B2M2Y8AsgTpgAmY7PhCfg=="


@pytest.mark.parametrize("status", [500, 503, 524, 429])
async def test_one_call_is_one_attempt(status: int) -> None:
    """Retries are the engine's; botocore's own would multiply with them."""
    recorder = Recorder(f"HTTP/1.1 {status} No\r\nContent-Length: 0\r\n\r\n")
    async with _recording(recorder) as store:
        with pytest.raises(StoreError) as caught:
            await store.put_object("k", BytesBody(b"x"), PutOptions("a/b"))
    assert len(recorder.lines) == 1
    assert (caught.value.status, caught.value.retryable) == (status, True)


async def test_error_in_a_200_response_to_complete_is_an_error() -> None:
    body = "<?xml version='1.0'?><Error><Code>InternalError</Code><Message>m</Message></Error>"
    response = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n{body}"
    async with _recording(Recorder(response)) as store:
        with pytest.raises(StoreError) as caught:
            await store.complete_multipart_upload("k", "id", [])
    assert caught.value.retryable


async def test_broken_connection_is_a_retryable_reset() -> None:
    recorder = Recorder(hang_up=True)
    async with _recording(recorder) as store:
        with pytest.raises(StoreError) as caught:
            await store.upload_part("k", "id", 1, _Streamed(bytes(4_000_000)))
    assert (caught.value.code, caught.value.retryable) == ("store.reset", True)
    assert recorder.url in str(caught.value)


@pytest.mark.parametrize("streamed", [True, False])
async def test_missing_response_is_a_retryable_timeout(*, streamed: bool) -> None:
    body = _Streamed(b"x") if streamed else BytesBody(b"x")
    config = UploadConfig(response_timeout=0.2, stall_timeout=0.2)
    async with _recording(Recorder(response=""), config) as store:
        with pytest.raises(StoreError) as caught:
            await store.put_object("k", body, PutOptions("a/b"))
    assert (caught.value.code, caught.value.retryable) == ("store.timeout", True)
    assert "PutObject" in str(caught.value)


async def test_server_that_stops_reading_is_a_stall() -> None:
    """The response timeout does not run while the body is sent; the stall timeout does."""
    accepted = asyncio.Event()
    release = asyncio.Event()

    async def deaf(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        accepted.set()
        await release.wait()
        writer.close()

    class Endless:
        md5 = ""
        content_md5 = ""
        checksum: Checksum | None = None
        size = 2**40

        async def chunks(self) -> AsyncIterator[bytes]:
            while True:
                yield bytes(1024 * 1024)

        def blocks(self, buffer: memoryview) -> Iterator[memoryview]:
            while True:
                yield buffer

    listener = await asyncio.start_server(deaf, "127.0.0.1", 0, limit=1024)
    port = listener.sockets[0].getsockname()[1]
    profile = Profile(
        name="p",
        endpoint_url=f"http://127.0.0.1:{port}",
        region="r",
        bucket="bucket",
        access_key="a",
        secret_key="s",
    )
    config = UploadConfig(stall_timeout=0.3, response_timeout=100)
    async with open_boto_store(profile, config) as store:
        with pytest.raises(StoreError) as caught:
            await store.upload_part("k", "id", 1, Endless())
    assert caught.value.code == "store.timeout"
    assert accepted.is_set()
    release.set()
    listener.close()
