"""The wire lane against servers that misbehave, and what it keeps to itself."""

import asyncio
import errno
import os
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import pytest
import trustme
from anyio import to_thread

from s3_uploader import Profile, StoreError, UploadConfig, Uploader, __version__
from s3_uploader.checksums import Digests
from s3_uploader.errors import ConfigError, SourceError
from s3_uploader.events import Event, FileUploaded, RequestRetried
from s3_uploader.sizes import MIB
from s3_uploader.source import FileRange, open_source
from s3_uploader.store import Body, BytesBody, CompletedPart, ObjectStore, PutOptions
from s3_uploader.store.open import open_store
from s3_uploader.store.wire.blocking import Kernel, LargeConnection
from s3_uploader.store.wire.dial import Origin
from s3_uploader.store.wire.pool import AGE_LIMIT, IDLE_LIMIT, Pool
from s3_uploader.testing import LocalS3Server
from trees import make_tree

pytestmark = pytest.mark.anyio

OK = b'HTTP/1.1 200 OK\r\nETag: "00"\r\nContent-Length: 0\r\n\r\n'
Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
_OFF = UploadConfig(integrity="off", backoff_base=0, max_attempts=3)


@asynccontextmanager
async def wire(handler: Handler, config: UploadConfig = _OFF) -> AsyncIterator[ObjectStore]:
    """Open the wire lane to a server whose every connection is given to `handler`."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await handler(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    listener = await asyncio.start_server(serve, "127.0.0.1", 0)
    profile = Profile(
        name="p",
        endpoint_url=f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}",
        region="r",
        bucket="bucket",
        access_key="a",
        secret_key="s",
    )
    try:
        async with open_store(profile, config) as store:
            yield store
    finally:
        listener.close()


async def request(reader: asyncio.StreamReader) -> tuple[str, bytes]:
    """Read one request: its head and its body."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    size = int(head.lower().split("content-length: ")[1].split("\r\n")[0])
    return head, await reader.readexactly(size)


async def put(store: ObjectStore, body: Body) -> str:
    receipt = await store.put_object("k", body, PutOptions("a/b"))
    return receipt.etag


@pytest.fixture(params=["small", "large"])
def body_of(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[int], Body]:
    """Make a body for the event loop's connections, or for the worker threads'."""

    def make(size: int) -> Body:
        data = os.urandom(size)
        if request.param == "small":
            return BytesBody(data)
        path = tmp_path / "body"
        path.write_bytes(data)
        return FileRange(str(path), open_source(str(path)), size=size, digests=Digests())

    return make


async def test_connection_is_reused(body_of: Callable[[int], Body]) -> None:
    connections = 0

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        while True:
            await request(reader)
            writer.write(OK)

    async with wire(handler) as store:
        for size in (0, 1, 70_000, 600_000):
            assert await put(store, body_of(size)) == "00"
    assert connections == 1


async def test_connection_closed_while_idle_is_replaced_without_a_retry(
    body_of: Callable[[int], Body],
) -> None:
    """Each connection serves one request and is closed by a server that had said keep-alive."""
    connections = 0

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        await request(reader)
        writer.write(OK)

    async with wire(handler) as store:
        for _ in range(5):
            assert await put(store, body_of(10)) == "00"
    assert connections == 5


async def test_post_whose_response_is_lost_is_not_sent_again_without_a_retry() -> None:
    """A Complete may have taken effect: its caller decides, and its events report it."""
    seen = []

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head, _ = await request(reader)
        writer.write(OK)
        head, _ = await request(reader)
        seen.append(head.split()[0])

    async with wire(handler) as store:
        assert await put(store, BytesBody(b"warm")) == "00"
        with pytest.raises(StoreError) as caught:
            await store.complete_multipart_upload("k", "id", [CompletedPart(1, "e")])
    assert (caught.value.code, caught.value.retryable) == ("store.reset", True)
    assert seen == ["POST"]


async def test_kept_connection_that_breaks_within_a_body_is_a_failure(
    tmp_path: Path,
) -> None:
    """It had accepted bytes, so it was not stale: the retry policy decides and reports it."""
    path = tmp_path / "f"
    path.write_bytes(bytes(16 * 1024 * 1024))
    body = FileRange(str(path), open_source(str(path)), size=16 * 1024 * 1024, digests=Digests())
    connections = 0

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        await request(reader)
        writer.write(OK)
        await request(reader)

    async with wire(handler) as store:
        assert await put(store, body) == "00"
        with pytest.raises(StoreError) as caught:
            await put(store, body)
    assert (caught.value.code, connections) == ("store.reset", 1)


@pytest.mark.parametrize("status", [b"403 Forbidden", b"413 Too Large", b"503 Slow Down"])
async def test_response_before_the_body_is_sent_is_noticed(
    status: bytes, body_of: Callable[[int], Body]
) -> None:
    """The server reads the head, responds, and never reads the body."""
    done = asyncio.Event()

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 %b\r\nContent-Length: 0\r\n\r\n" % status)
        await done.wait()

    async with wire(handler) as store:
        with anyio.fail_after(20), pytest.raises(StoreError) as caught:
            await put(store, body_of(64 * 1024 * 1024))
        done.set()
    assert caught.value.status == int(status[:3])


async def test_server_that_stops_reading_is_a_timeout(body_of: Callable[[int], Body]) -> None:
    release = asyncio.Event()

    async def handler(_reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await release.wait()

    config = replace(_OFF, stall_timeout=0.3, response_timeout=100)
    async with wire(handler, config) as store:
        with anyio.fail_after(20), pytest.raises(StoreError) as caught:
            await put(store, body_of(64 * 1024 * 1024))
        release.set()
    assert caught.value.code == "store.timeout"


async def test_server_that_never_responds_is_a_timeout(body_of: Callable[[int], Body]) -> None:
    release = asyncio.Event()

    async def handler(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await request(reader)
        await release.wait()

    config = replace(_OFF, stall_timeout=100, response_timeout=0.3)
    async with wire(handler, config) as store:
        with anyio.fail_after(20), pytest.raises(StoreError) as caught:
            await put(store, body_of(1000))
        release.set()
    assert caught.value.code == "store.timeout"


async def test_slow_server_that_keeps_reading_is_no_timeout(
    body_of: Callable[[int], Body],
) -> None:
    """The stall timeout counts from the last byte that moved, not from the first."""

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        left = int(head.lower().split("content-length: ")[1].split("\r\n")[0])
        while left:
            left -= len(await reader.read(min(left, 4 * 1024 * 1024)))
            # Slow by itself, not to wait for anything: the whole takes some stall timeouts.
            await asyncio.sleep(0.03)
        writer.write(OK)

    async with wire(handler, replace(_OFF, stall_timeout=0.5)) as store:
        with anyio.fail_after(30):
            assert await put(store, body_of(16 * 1024 * 1024)) == "00"


@pytest.mark.parametrize("size", [1000, 64 * 1024 * 1024])
async def test_cancellation_frees_everything_within_a_second(
    size: int, body_of: Callable[[int], Body]
) -> None:
    """Cancelled while the server neither reads nor responds: no worker thread stays busy."""
    reached, release = asyncio.Event(), asyncio.Event()

    async def handler(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        reached.set()
        await release.wait()

    async with wire(handler) as store:
        task = asyncio.create_task(put(store, body_of(size)))
        await reached.wait()
        task.cancel()
        with anyio.fail_after(1.5), pytest.raises(asyncio.CancelledError):
            await task
        release.set()
    assert [t.name for t in threading.enumerate() if t.name.startswith("s3-uploader")] == []


class _Cancelling(ssl.SSLContext):
    """Cancels the connection when its socket has just been wrapped, and lost its descriptor."""

    cancel: Callable[[], None]

    def wrap_socket(self, *args: Any, **kwargs: Any) -> ssl.SSLSocket:
        wrapped = super().wrap_socket(*args, **kwargs)
        self.cancel()
        return wrapped


def test_cancellation_while_tls_begins_does_not_wait_for_the_server() -> None:
    context = _Cancelling(ssl.PROTOCOL_TLS_CLIENT)
    # It accepts, and says nothing.
    with socket.create_server(("127.0.0.1", 0)) as listener:
        host, port = listener.getsockname()
        raw = socket.create_connection((host, port))
        connection = LargeConnection(raw, Origin(host, port, context, 1.0), 1.0, 1.0)
        context.cancel = connection.cancel
        with closing(connection), pytest.raises(ConnectionAbortedError, match="cancelled"):
            connection.exchange(b"", BytesBody(b""), memoryview(bytearray(1024)))


@pytest.mark.parametrize("shakes_hands", [False, True])
async def test_upload_cancelled_in_a_handshake_sends_nothing(
    tmp_path: Path, *, shakes_hands: bool
) -> None:
    make_tree(tmp_path, {"f": 1024 * 1024})
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    accepted, resume = threading.Event(), threading.Event()
    received: list[bytes] = []

    def serve() -> None:
        connection, _ = listener.accept()
        with connection:
            accepted.set()
            resume.wait(20)
            if shakes_hands:
                try:
                    with context.wrap_socket(connection, server_side=True) as tls:
                        received.append(tls.recv(1000))
                except OSError:
                    return

    with socket.create_server(("localhost", 0)) as listener:
        server = threading.Thread(target=serve)
        server.start()
        profile = Profile(
            name="p",
            endpoint_url=f"https://localhost:{listener.getsockname()[1]}/",
            region="r",
            bucket="bucket",
            access_key="a",
            secret_key="s",
        )
        config = replace(_OFF, ca_bundle=str(tmp_path / "ca.pem"))
        async with Uploader(profile, config=config) as uploader:
            task = asyncio.create_task(uploader.upload_file(tmp_path / "f", "k"))
            with anyio.fail_after(20):
                await to_thread.run_sync(accepted.wait)
                task.cancel()
                await asyncio.wait([task])
        assert [one.name for one in threading.enumerate() if "wire" in one.name] == []
        resume.set()
        server.join(20)
    assert not any(received)


@pytest.mark.parametrize(
    "data",
    [
        (
            b"HTTP/1.1 301 Moved\r\nx-amz-bucket-region: eu-1\r\n"
            b"Location: http://other.example/\r\nContent-Length: 0\r\n\r\n"
        ),
        (
            b"HTTP/1.1 301 Moved\r\nContent-Length: 45\r\n\r\n"
            b"<Error><Code>PermanentRedirect</Code></Error>"
        ),
        (
            b"HTTP/1.1 400 Bad\r\nContent-Length: 48\r\n\r\n"
            b"<Error><Code>AuthorizationHeaderMalformed</Code>"
        ),
    ],
)
@pytest.mark.usefixtures("boto")
async def test_region_corrected_by_the_store_is_followed_by_the_boto_lane(data: bytes) -> None:
    """The request goes again through aioboto3, and so does every later body."""
    agents = []

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            head, _ = await request(reader)
            agents.append(head.lower().split("user-agent: ")[1].split("\r\n")[0])
            writer.write(data if len(agents) == 1 else OK)

    async with wire(handler) as store:
        lanes = [store.lane]
        assert await put(store, BytesBody(b"x")) == "00"
        lanes.append(store.lane)
        assert lanes == ["wire", "boto"]
        assert await put(store, BytesBody(b"x")) == "00"
    ours = f"s3up/{__version__}"
    assert agents[0] == ours
    assert all("boto" in agent and agent.endswith(ours) for agent in agents[1:])


@pytest.mark.usefixtures("boto")
async def test_wire_lane_falls_back_for_a_proxy(
    server: LocalS3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    profile = replace(server.profile(), endpoint_url=server.http_url)
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    async with open_store(profile, UploadConfig()) as store:
        assert store.lane == "boto"
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    async with open_store(profile, UploadConfig()) as store:
        assert store.lane == "wire"


@pytest.mark.parametrize(
    "data",
    [
        b"HTTP/1.1 100 Continue\r\n\r\n" + OK,
        b'HTTP/1.1 200 OK\r\nETag: "00"\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n',
        b'HTTP/1.0 200 OK\r\nETag: "00"\r\n\r\nended by closing',
    ],
)
async def test_every_framing_of_a_response_is_read(
    data: bytes, body_of: Callable[[int], Body]
) -> None:
    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request(reader)
        writer.write(data)

    async with wire(handler) as store:
        assert await put(store, body_of(10)) == "00"


@pytest.mark.parametrize("data", [b"SSH-2.0-x\r\n\r\n", b"", b"HTTP/1.1 200 OK\r\nContent-Le"])
async def test_missing_or_malformed_response_is_a_retryable_reset(
    data: bytes, body_of: Callable[[int], Body]
) -> None:
    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request(reader)
        writer.write(data)

    async with wire(handler) as store:
        with pytest.raises(StoreError) as caught:
            await put(store, body_of(10))
    assert (caught.value.code, caught.value.retryable) == ("store.reset", True)


async def test_complete_that_fails_after_200_is_a_failure() -> None:
    body = b"<?xml version='1.0'?>\n<Error><Code>InternalError</Code><Message>m</Message></Error>"

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))

    async with wire(handler) as store:
        with pytest.raises(StoreError) as caught:
            await store.complete_multipart_upload("k", "id", [CompletedPart(1, "e")])
    assert (caught.value.s3_code, caught.value.retryable) == ("InternalError", True)


async def test_file_that_shrinks_while_it_is_sent_is_reported(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_bytes(bytes(32 * 1024 * 1024))
    body = FileRange(str(path), open_source(str(path)), size=32 * 1024 * 1024, digests=Digests())

    async def handler(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        os.truncate(path, 1024 * 1024)
        while await reader.read(1024 * 1024):
            pass

    async with wire(handler) as store:
        with anyio.fail_after(20), pytest.raises(SourceError) as caught:
            await put(store, body)
    assert caught.value.code == "source.changed"


async def test_untrusted_certificate_is_never_accepted(server: LocalS3Server) -> None:
    async with open_store(server.profile(), UploadConfig()) as store:
        with pytest.raises(StoreError) as caught:
            await put(store, BytesBody(b"x"))
    assert (caught.value.code, caught.value.retryable) == ("store.tls", False)


async def test_header_cannot_be_smuggled_in(server: LocalS3Server, tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"x")
    async with Uploader(server.profile(), config=UploadConfig(ca_bundle=server.ca_bundle)) as up:
        with pytest.raises(ConfigError, match="content_type"):
            await up.upload_file(tmp_path / "f", "k", content_type="a/b\r\nx-amz-acl: public-read")


async def test_events_say_which_lane_a_file_took(
    server: LocalS3Server, tmp_path: Path, prefix: str
) -> None:
    (tmp_path / "small").write_bytes(b"x")
    (tmp_path / "large").write_bytes(bytes(17 * 1024 * 1024))
    events: list[Event] = []
    config = UploadConfig(ca_bundle=server.ca_bundle)
    async with Uploader(server.profile(), config=config) as uploader:
        report = await uploader.upload_directory(tmp_path, prefix, consumers=[events.append])
    assert report.ok
    uploaded = [event for event in events if isinstance(event, FileUploaded)]
    assert {(event.name, event.lane) for event in uploaded} == {
        ("small", "wire"),
        ("large", "wire"),
    }
    assert not any(isinstance(event, RequestRetried) for event in events)


def test_upload_on_the_wire_lane_imports_no_aioboto3(server: LocalS3Server, tmp_path: Path) -> None:
    """Small files and a multipart upload: neither needs it, and it takes longest to import."""
    (tmp_path / "small").write_bytes(b"x")
    (tmp_path / "large").write_bytes(bytes(17 * 1024 * 1024))
    program = (
        "import sys\n"
        "import s3_uploader\n"
        "assert not {'asyncio', 'anyio', 'ssl'} & sys.modules.keys(), 'imported too early'\n"
        "counts = s3_uploader.upload_directory(sys.argv[1], 'no-boto', verbose=False)\n"
        "assert counts == {'total': 2, 'success': 2, 'failed': 0}, counts\n"
        "assert not {'aioboto3', 'botocore', 'aiohttp'} & sys.modules.keys(), 'imported'\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)],
        env={**os.environ, **server.environ()},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


class _Idle:
    """A connection to keep; `usable` as given."""

    def __init__(self, *, born: float, usable: bool = True) -> None:
        self.opened_at = self.used_at = born
        self.usable = usable
        self.closed = False

    def close(self) -> None:
        self.closed = True


def test_pool_returns_the_last_used_and_drops_old_or_dead_connections() -> None:
    now = time.monotonic()
    pool: Pool[_Idle] = Pool()
    fresh, last, dead = _Idle(born=now), _Idle(born=now), _Idle(born=now, usable=False)
    aged = _Idle(born=now - AGE_LIMIT - 1)
    for connection in (fresh, last, aged, dead):
        pool.release(connection)
    assert pool.acquire() is last
    assert (dead.closed, aged.closed) == (True, True)
    pool.release(last)
    last.used_at -= IDLE_LIMIT + 1
    assert pool.acquire() is fresh
    assert last.closed
    assert pool.acquire() is None


_WATCHED = """
import asyncio, mimetypes, sys, threading
from s3_uploader import Uploader

OPENING = {"open", "os.scandir", "os.listdir", "os.remove", "os.rename", "sqlite3.connect"}
OPENING |= {"socket.getaddrinfo", "subprocess.Popen"}
# Modules that are imported late, what a process knows of itself, and a table that is read once.
EXEMPT = (sys.prefix, sys.base_prefix, "/dev/", "/proc/", *mimetypes.knownfiles)
loop, on_loop, elsewhere = threading.get_ident(), [], []

def watch(event, args):
    if event in OPENING and not str(args[0]).startswith(EXEMPT):
        (on_loop if threading.get_ident() == loop else elsewhere).append(f"{event} {args[0]}")

async def main():
    async with Uploader() as uploader:
        report = await uploader.upload_directory(sys.argv[1], sys.argv[2])
        assert (report.success, report.failed) == (31, 0), report.failures

sys.addaudithook(watch)
if sys.argv[3] == "uvloop":
    import uvloop
    uvloop.run(main())
else:
    asyncio.run(main())
assert len(elsewhere) > 31, elsewhere
print(on_loop)
"""


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_no_wait_for_a_disk_or_a_name_is_on_the_event_loop(
    server: LocalS3Server, tmp_path: Path, prefix: str, loop: str
) -> None:
    """The audit events of a whole upload, from the profile to the last object, by thread."""
    make_tree(tmp_path, {f"{number}": 4_096 for number in range(30)} | {"large": 20 * MIB})
    done = subprocess.run(
        [sys.executable, "-c", _WATCHED, str(tmp_path), prefix, loop],
        env=os.environ | server.environ(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout, done.stderr) == ("[]\n", "")


# -------------------------------------------------------------------- where sendfile is refused


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    """Restore what the test's process learns of the kernel."""
    monkeypatch.setattr(Kernel, "sendfile", True)


class _Receiver:
    def __init__(self) -> None:
        self.bodies: list[bytes] = []

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            _, body = await request(reader)
            self.bodies.append(body)
            writer.write(OK)


@pytest.mark.usefixtures("kernel")
@pytest.mark.parametrize("number", [errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EPERM])
@pytest.mark.parametrize("hashing", [False, True])
async def test_refused_sendfile_is_replaced_for_the_rest_of_the_process(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, hashing: bool
) -> None:
    calls: list[int] = []

    def refuse(*_args: object) -> int:
        calls.append(number)
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "sendfile", refuse)
    data = os.urandom(3 * MIB + 1)
    (tmp_path / "f").write_bytes(data)
    path = str(tmp_path / "f")
    receiver = _Receiver()
    async with wire(receiver) as store:
        for _ in range(2):
            body = FileRange(path, open_source(path), size=len(data), digests=Digests(md5=hashing))
            assert await put(store, body) == "00"
    assert receiver.bodies == [data, data]
    assert len(calls) == 1


@pytest.mark.usefixtures("kernel")
async def test_disk_error_under_sendfile_is_a_source_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_args: object) -> int:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "sendfile", fail)
    monkeypatch.setattr(os, "preadv", fail)
    (tmp_path / "f").write_bytes(bytes(MIB))
    path = str(tmp_path / "f")
    async with wire(_Receiver()) as store:
        body = FileRange(path, open_source(path), size=MIB, digests=Digests())
        with pytest.raises(SourceError) as caught:
            await put(store, body)
    assert caught.value.code == "source.unreadable"
    assert Kernel.sendfile
