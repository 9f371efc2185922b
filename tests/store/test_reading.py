"""Objects that are read: what status and headers must say, what the body must be, and its pace."""

import asyncio
import os
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Any, TypeVar, cast

import anyio
import anyio.lowlevel
import pytest

from lanes import open_lane
from s3_uploader import StoreError
from s3_uploader.sizes import MIB
from s3_uploader.store import BytesBody, ListedPage, ObjectStore, PutOptions
from s3_uploader.store.fallback import CannotServeError, FallbackStore
from s3_uploader.store.ranges import Range
from s3_uploader.testing import LocalS3Server, MemoryStore
from scripted_server import ReceivedRequest, always_respond, open_lane_to, response, scripted_server

pytestmark = pytest.mark.anyio

T = TypeVar("T")

BOTH = ["wire", "boto"]

_TEN = b"0123456789"
_CHUNKED = b'HTTP/1.1 206 OK\r\nETag: "00"\r\nTransfer-Encoding: chunked\r\n%b\r\n'


def _part(body: bytes, content_range: str = "", status: str = "206 Partial", **more: str) -> bytes:
    return response(body, status, Content_Range=content_range, **more)


async def _read(store: ObjectStore, **wanted: Any) -> bytes:
    with anyio.fail_after(20):
        return b"".join([block async for block in store.get_object("k", **wanted)])


async def _collect(items: AsyncIterator[T], found: list[T]) -> None:
    """Add the items to those found: what came before an error remains."""
    async for item in items:
        found += [item]


def _blocks(store: ObjectStore) -> AsyncGenerator[bytes]:
    return cast("AsyncGenerator[bytes]", store.get_object("k"))


# ------------------------------------------------------------------------- status and headers

_FIVE = {"offset": 2, "size": 5}
_FALSE_HEADS: dict[str, tuple[dict[str, int], bytes]] = {
    "all-for-a-range": (_FIVE, response(_TEN)),
    "all-of-the-ranges-size": (_FIVE, response(_TEN[:5])),
    "more-than-the-range": ({"size": 5}, response(_TEN)),
    "no-content-range": (_FIVE, _part(_TEN[2:7])),
    "another-range": (_FIVE, _part(_TEN[:5], "bytes 0-4/10")),
    "a-shorter-range": (_FIVE, _part(_TEN[2:6], "bytes 2-5/10")),
    "a-longer-range": (_FIVE, _part(_TEN[2:8], "bytes 2-7/10")),
    "a-range-of-another-length": (_FIVE, _part(_TEN[2:6], "bytes 2-6/10")),
    "no-range": (_FIVE, _part(_TEN[2:7], "none")),
    "a-number-too-long": (_FIVE, _part(_TEN[2:7], f"bytes 2-{'9' * 5000}/10")),
    "not-to-the-end": ({"offset": 2}, _part(_TEN[2:7], "bytes 2-6/10")),
    "to-no-known-end": ({"offset": 2}, _part(_TEN[2:7], "bytes 2-6/*")),
    "a-range-of-all": ({}, _part(_TEN[:5], "bytes 0-4/10")),
    "another-success": ({}, response(_TEN, "203 Changed")),
    "no-content": ({}, response(status="204 No Content")),
    "no-etag": ({}, response(_TEN, etag="")),
    "no-length": ({}, b'HTTP/1.1 200 OK\r\nETag: "00"\r\nConnection: close\r\n\r\n0123'),
    "another-coding": (
        {},
        b'HTTP/1.1 200 OK\r\nETag: "00"\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n',
    ),
}


@pytest.mark.parametrize("lane", BOTH)
@pytest.mark.parametrize("name", list(_FALSE_HEADS))
async def test_success_with_other_content_is_an_error(lane: str, name: str) -> None:
    wanted, data = _FALSE_HEADS[name]

    async def once(_request: ReceivedRequest, writer: asyncio.StreamWriter) -> None:
        writer.write(data)
        writer.close()

    async with scripted_server(once) as server, open_lane_to(server, lane) as store:
        with pytest.raises(StoreError) as caught:
            await _read(store, **wanted)
    assert (caught.value.code, caught.value.retryable) == ("store.bad_response", True)
    assert len(server.requests) == 1


_TRUE_HEADS: dict[str, tuple[dict[str, int], bytes]] = {
    "a-range": (_FIVE, _part(_TEN[2:7], "bytes 2-6/10")),
    "of-an-unknown-whole": (_FIVE, _part(_TEN[2:7], "bytes 2-6/*")),
    "to-the-end": ({"offset": 2}, _part(_TEN[2:], "bytes 2-9/10")),
    "with-200": (_FIVE, _part(_TEN[2:7], "bytes 2-6/10", "200 OK")),
    "that-is-all": ({"size": 10}, response(_TEN)),
    "in-chunks": (
        _FIVE,
        _CHUNKED % b"Content-Range: bytes 2-6/10\r\n" + b"2\r\n23\r\n3\r\n456\r\n0\r\n\r\n",
    ),
}


@pytest.mark.parametrize("lane", BOTH)
@pytest.mark.parametrize("name", list(_TRUE_HEADS))
async def test_range_is_accepted_however_it_is_announced(lane: str, name: str) -> None:
    wanted, data = _TRUE_HEADS[name]
    async with (
        scripted_server(always_respond(data)) as server,
        open_lane_to(server, lane) as store,
    ):
        found = await _read(store, **wanted)
    offset, size = wanted.get("offset", 0), wanted.get("size", 8)
    assert found == _TEN[offset : offset + size]
    last = f"{offset + size - 1}" if "size" in wanted else ""
    assert server.requests[0].headers["range"] == f"bytes={offset}-{last}"


@pytest.mark.parametrize("lane", BOTH)
async def test_whole_object_is_requested_without_a_range(lane: str) -> None:
    async with (
        scripted_server(always_respond(response(_TEN))) as server,
        open_lane_to(server, lane) as store,
    ):
        assert await _read(store) == _TEN
    assert not {"range", "if-match"} & server.requests[0].headers.keys()


@pytest.mark.parametrize(("offset", "size"), [(0, 0), (0, -1), (-1, None)])
def test_impossible_range_is_a_bug(offset: int, size: int | None) -> None:
    with pytest.raises(ValueError, match="no range"):
        Range(offset, size)


@pytest.mark.parametrize("lane", BOTH)
async def test_store_that_ignores_the_version_is_noticed(lane: str) -> None:
    async with (
        scripted_server(always_respond(response(_TEN))) as server,
        open_lane_to(server, lane) as store,
    ):
        assert await _read(store, etag="00") == _TEN
        with pytest.raises(StoreError) as caught:
            await _read(store, etag="11")
    assert (caught.value.code, caught.value.retryable) == ("store.precondition", False)
    assert [request.headers["if-match"] for request in server.requests] == ['"00"', '"11"']


# -------------------------------------------------------------------------------------- bodies


@pytest.mark.parametrize("lane", BOTH)
@pytest.mark.parametrize("sent", [0, 1, 3 * MIB])
async def test_truncated_body_is_a_retryable_error(lane: str, sent: int) -> None:
    async def cut(_request: ReceivedRequest, writer: asyncio.StreamWriter) -> None:
        writer.write(response(bytes(4 * MIB))[: -4 * MIB or None] + bytes(sent))
        await writer.drain()
        writer.close()

    async with scripted_server(cut) as server, open_lane_to(server, lane) as store:
        with pytest.raises(StoreError) as caught:
            await _read(store)
    assert (caught.value.code, caught.value.retryable) == ("store.reset", True)


@pytest.mark.parametrize("lane", BOTH)
@pytest.mark.parametrize("chunks", [b"4\r\n2345\r\n0\r\n\r\n", b"6\r\n234567\r\n0\r\n\r\n"])
async def test_chunks_of_another_length_than_the_range_are_an_error(
    lane: str, chunks: bytes
) -> None:
    data = _CHUNKED % b"Content-Range: bytes 2-6/10\r\n" + chunks
    found: list[bytes] = []
    async with (
        scripted_server(always_respond(data)) as server,
        open_lane_to(server, lane) as store,
    ):
        with pytest.raises(StoreError) as caught:
            await _collect(store.get_object("k", offset=2, size=5), found)
    assert caught.value.code == "store.bad_response"
    assert b"".join(found) in {b"", b"2345"}


@pytest.mark.parametrize("behind", [b"more", response(b"another"), b"HTTP/1.1 200 OK\r\n\r\n"])
async def test_bytes_after_the_body_are_an_error(behind: bytes) -> None:
    handle = always_respond(response(_TEN) + behind)
    async with scripted_server(handle) as server, open_lane_to(server, "wire") as store:
        with pytest.raises(StoreError) as caught:
            await _read(store)
    assert (caught.value.code, caught.value.retryable) == ("store.bad_response", True)


@pytest.mark.parametrize("lane", BOTH)
async def test_broken_chunk_is_a_retryable_error(lane: str) -> None:
    data = (_CHUNKED % b"").replace(b"206", b"200") + b"4\r\n2345\r\nxyz\r\n"
    async with (
        scripted_server(always_respond(data)) as server,
        open_lane_to(server, lane) as store,
    ):
        with pytest.raises(StoreError) as caught:
            await _read(store)
    assert caught.value.retryable


# ----------------------------------------------------------------------------- connections, pace


class _Pouring:
    """A server that sends a long body as fast as it is taken, and says how much that is."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.sent = 0
        self.broken = asyncio.Event()

    async def __call__(self, _request: ReceivedRequest, writer: asyncio.StreamWriter) -> None:
        writer.write(response(bytes(self.size))[: -self.size])
        try:
            while self.sent < self.size:
                writer.write(bytes(65_536))
                await writer.drain()
                self.sent += 65_536
        except ConnectionError:
            self.broken.set()
            raise


_LOOPS = [
    pytest.param(("asyncio", {"use_uvloop": uvloop}), id="uvloop" if uvloop else "asyncio")
    for uvloop in (False, True)
]


@pytest.mark.parametrize("anyio_backend", _LOOPS)
@pytest.mark.parametrize("lane", BOTH)
async def test_slow_reader_holds_the_store_back(lane: str) -> None:
    """What has come and is not read stays small, and all of it comes in the end."""
    pouring = _Pouring(64 * MIB)
    async with (
        scripted_server(pouring) as server,
        open_lane_to(server, lane) as store,
        aclosing(_blocks(store)) as blocks,
    ):
        received = len(await anext(blocks))
        for _ in range(20_000):
            await anyio.lowlevel.checkpoint()
        # The sockets' own buffers are the most of it.
        assert pouring.sent < 24 * MIB
        async for block in blocks:
            received += len(block)
            assert len(block) < 2 * MIB
    assert received == pouring.size


@pytest.mark.parametrize("anyio_backend", _LOOPS)
@pytest.mark.parametrize("lane", ["wire-http", "wire-https"])
async def test_slow_reader_gets_every_byte_of_a_real_store(
    lane: str, server: LocalS3Server, prefix: str
) -> None:
    data = os.urandom(12 * MIB)
    found = b""
    async with open_lane(lane, server) as store:
        await store.put_object(prefix, BytesBody(data), PutOptions("a/b"))
        async for block in store.get_object(prefix):
            for _ in range(500):
                await anyio.lowlevel.checkpoint()
            found += block
        await store.delete_object(prefix)
    assert found == data


class _Connections:
    """A server that sends the next response, and knows which connection each request used."""

    def __init__(self, *responses: bytes) -> None:
        self.responses = list(responses)
        self.peers: list[object] = []

    async def __call__(self, _request: ReceivedRequest, writer: asyncio.StreamWriter) -> None:
        self.peers.append(writer.get_extra_info("peername"))
        writer.write(self.responses[len(self.peers) - 1])


_MISSING = response(b"<Error><Code>NoSuchKey</Code></Error>", "404 Not Found", etag="")


@pytest.mark.parametrize("lane", BOTH)
async def test_connection_is_reused_once_the_body_is_read(lane: str) -> None:
    bodies = [b"", b"x", bytes(MIB), bytes(3 * MIB + 1)]
    chunked = (_CHUNKED % b"").replace(b"206", b"200") + b"2\r\nab\r\n0\r\n\r\n"
    connections = _Connections(*map(response, bodies), chunked, _MISSING, response(b"last"))
    async with scripted_server(connections) as server, open_lane_to(server, lane) as store:
        for body in (*bodies, b"ab"):
            assert await _read(store) == body
        with pytest.raises(StoreError) as caught:
            await _read(store)
        assert caught.value.code == "store.not_found"
        assert await _read(store) == b"last"
    assert len(set(connections.peers)) == 1


@pytest.mark.parametrize("lane", BOTH)
async def test_connection_is_closed_where_a_body_is_not_read(lane: str) -> None:
    pouring = _Pouring(64 * MIB)
    peers = []

    async def handle(request: ReceivedRequest, writer: asyncio.StreamWriter) -> None:
        peers.append(writer.get_extra_info("peername"))
        if len(peers) == 1:
            await pouring(request, writer)
        writer.write(response(b"second"))

    async with scripted_server(handle) as server, open_lane_to(server, lane) as store:
        async with aclosing(_blocks(store)) as blocks:
            await anext(blocks)
        with anyio.fail_after(10):
            await pouring.broken.wait()
        assert await _read(store) == b"second"
    assert pouring.sent < pouring.size
    assert len(set(peers)) == 2


@pytest.mark.parametrize("lane", BOTH)
@pytest.mark.parametrize("sent", [0, 1000])
async def test_connection_is_closed_where_a_reader_is_cancelled(lane: str, sent: int) -> None:
    """Cancelled while it waits for a response, or for a block, that does not come."""
    reached = asyncio.Event()
    peers = []

    async def handle(_request: ReceivedRequest, writer: asyncio.StreamWriter) -> None:
        peers.append(writer.get_extra_info("peername"))
        if len(peers) == 2:
            writer.write(response(b"second"))
            return
        writer.write(response(bytes(2 * MIB))[: -2 * MIB] + bytes(sent) if sent else b"")
        reached.set()

    async with scripted_server(handle) as server, open_lane_to(server, lane) as store:
        task = asyncio.create_task(_read(store))
        await reached.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await _read(store) == b"second"
    assert len(set(peers)) == 2


async def test_connection_closed_while_idle_is_replaced_without_a_retry() -> None:
    async def once(_request: ReceivedRequest, writer: asyncio.StreamWriter) -> None:
        writer.write(response(_TEN))
        writer.close()

    async with scripted_server(once) as server, open_lane_to(server, "wire") as store:
        for _ in range(3):
            assert await _read(store) == _TEN


async def test_redirect_is_followed_with_the_range() -> None:
    handle = always_respond(_part(_TEN[2:7], "bytes 2-6/10"))

    async def redirect(request: ReceivedRequest, writer: asyncio.StreamWriter) -> None:
        location = f"http://127.0.0.1:{other.port}{request.target}"
        writer.write(response(status="307 Temporary", etag="", Location=location))

    async with (
        scripted_server(handle) as other,
        scripted_server(redirect) as server,
        open_lane_to(server, "wire") as store,
    ):
        assert await _read(store, **_FIVE) == _TEN[2:7]
        assert await _read(store, **_FIVE) == _TEN[2:7]
    assert [request.headers["range"] for request in other.requests] == ["bytes=2-6"] * 2
    assert len(server.requests) == 1


# ------------------------------------------------------------------------------------- fallback


@pytest.mark.usefixtures("boto")
async def test_region_corrected_by_the_store_is_read_from_by_the_boto_lane() -> None:
    async def handle(request: ReceivedRequest, writer: asyncio.StreamWriter) -> None:
        moved = b"<Error><Code>AuthorizationHeaderMalformed</Code></Error>"
        wire = request.headers["user-agent"].startswith("s3up/")
        writer.write(response(moved, "400 Bad") if wire else response(_TEN))

    async with scripted_server(handle) as server, open_lane_to(server, "wire") as store:
        assert await _read(store) == _TEN
        assert await _read(store) == _TEN
        assert store.lane == "boto"
    assert (
        sum(request.headers["user-agent"].startswith("s3up/") for request in server.requests) == 1
    )


class _Given(MemoryStore):
    """A store whose listing and reading are what a test gives, and which records when they end."""

    def __init__(self, *pages: ListedPage, fails: bool = False) -> None:
        super().__init__()
        self._pages = pages
        self._fails = fails
        self.open = 0

    async def list_objects(
        self, prefix: str, *, start_after: str = "", delimiter: str = ""
    ) -> AsyncIterator[ListedPage]:
        del prefix, start_after, delimiter
        self.open += 1
        try:
            for page in self._pages:
                yield page
            if self._fails:
                raise CannotServeError("region = elsewhere")
        finally:
            self.open -= 1


def _fallback(first: ObjectStore, second: ObjectStore) -> FallbackStore:
    async def open_second(_why: str) -> ObjectStore:
        return second

    return FallbackStore(first, open_second)


async def test_iterator_of_a_fallback_is_closed_with_it() -> None:
    """Not by the garbage collector: this test holds on to the inner one."""
    page = ListedPage([], ["a/"])
    for first, second in (
        (_Given(page, page), _Given()),
        (_Given(fails=True), _Given(page, page)),
    ):
        listing = _fallback(first, second).list_objects("")
        async with aclosing(cast("AsyncGenerator[ListedPage]", listing)) as pages:
            assert await anext(pages) == page
            assert first.open + second.open == 1
        assert first.open + second.open == 0


async def test_fallback_does_not_list_twice_what_it_has_listed() -> None:
    page = ListedPage([], ["a/"])
    store = _fallback(_Given(page, fails=True), _Given(page))
    found: list[ListedPage] = []
    with pytest.raises(StoreError) as caught:
        await _collect(store.list_objects("p"), found)
    assert found == [page]
    assert caught.value.retryable
    assert "elsewhere" in str(caught.value)
    assert [listed async for listed in store.list_objects("p")] == [page]
