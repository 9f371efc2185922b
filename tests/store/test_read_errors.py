"""An error in response to GetObject is the same error however its body arrives."""

import asyncio
from collections.abc import Callable

import anyio
import pytest

from s3_uploader import StoreError
from s3_uploader.store import ObjectStore
from s3_uploader.store.fallback import CannotServeError
from scripted_server import ReceivedRequest, open_lane_to, response, scripted_server

pytestmark = pytest.mark.anyio

_HEAD = b"HTTP/1.1 %b Error\r\nContent-Type: application/xml\r\n"


def _document(code: str, padding: int = 0) -> bytes:
    comment = b"<!--" + b"x" * padding + b"-->"
    return b"<Error><Code>%b</Code>%b<Message>m</Message></Error>" % (code.encode(), comment)


def _sized(status: bytes, body: bytes) -> list[bytes]:
    return [_HEAD % status + b"Content-Length: %d\r\n\r\n" % len(body) + body]


def _in_two_segments(status: bytes, body: bytes) -> list[bytes]:
    (whole,) = _sized(status, body)
    return [whole[:-20], whole[-20:]]


def _in_chunks(status: bytes, body: bytes) -> list[bytes]:
    pieces = [body[:9], body[9:]]
    chunks = [b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces]
    return [_HEAD % status + b"Transfer-Encoding: chunked\r\n\r\n", *chunks, b"0\r\n\r\n"]


def _to_the_end_of_the_connection(status: bytes, body: bytes) -> list[bytes]:
    return [_HEAD % status + b"Connection: close\r\n\r\n" + body]


async def _read(store: ObjectStore) -> None:
    async for _ in store.get_object("k"):
        raise AssertionError("a block of an error")


@pytest.mark.parametrize("padding", [0, 3_000_000], ids=["small", "large"])
@pytest.mark.parametrize(
    "delivered", [_sized, _in_two_segments, _in_chunks, _to_the_end_of_the_connection]
)
@pytest.mark.parametrize(
    ("status", "s3_code", "code"),
    [
        (b"403", "ExpiredToken", "store.expired_token"),
        (b"404", "NoSuchBucket", "store.no_bucket"),
        (b"404", "NoSuchKey", "store.not_found"),
        (b"400", "AuthorizationHeaderMalformed", ""),
    ],
)
async def test_error_of_get_object_is_read_whole(
    status: bytes,
    s3_code: str,
    code: str,
    delivered: Callable[[bytes, bytes], list[bytes]],
    padding: int,
) -> None:
    async def respond(_request: ReceivedRequest, writer: asyncio.StreamWriter) -> None:
        for segment in delivered(status, _document(s3_code, padding)):
            writer.write(segment)
            await writer.drain()
            await anyio.sleep(0.01)
        writer.close()

    async with scripted_server(respond) as server, open_lane_to(server, "wire") as store:
        with anyio.fail_after(20), pytest.raises((StoreError, CannotServeError)) as raised:
            await _read(store)
    if code:
        assert isinstance(raised.value, StoreError)
        assert (raised.value.code, raised.value.s3_code) == (code, s3_code)


async def test_connection_is_used_again_after_an_error_of_get_object() -> None:
    ports: set[str] = set()

    async def respond(_request: ReceivedRequest, writer: asyncio.StreamWriter) -> None:
        ports.add(str(writer.get_extra_info("peername")[1]))
        writer.write(response(_document("NoSuchKey"), "404 Not Found"))

    async with scripted_server(respond) as server, open_lane_to(server, "wire") as store:
        for _ in range(3):
            with pytest.raises(StoreError):
                await _read(store)
    assert len(ports) == 1
