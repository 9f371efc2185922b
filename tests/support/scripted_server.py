"""A server whose responses a test writes, and both lanes to it."""

import asyncio
import ssl
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

from s3_uploader import Profile, UploadConfig
from s3_uploader.store import ObjectStore
from s3_uploader.store.open import open_store

QUICK = UploadConfig(
    integrity="off",
    backoff_base=0,
    max_attempts=2,
    connect_timeout=0.5,
    stall_timeout=0.5,
    response_timeout=1.0,
    journal="off",
)
"""Settings with which a test waits at most a second for what never comes."""


@dataclass(frozen=True)
class ReceivedRequest:
    """A request as the server received it; header names in lower case."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes

    @property
    def operation(self) -> str:
        """The S3 operation, as far as the tests distinguish them."""
        query = self.target.partition("?")[2]
        if "x-amz-copy-source" in self.headers:
            return "CopyObject"
        if "list-type=2" in query:
            return "ListObjectsV2"
        if "partNumber=" in query:
            return "UploadPart"
        if "uploads" in query:
            return "ListMultipartUploads" if self.method == "GET" else "CreateMultipartUpload"
        if "uploadId=" in query:
            return {
                "POST": "CompleteMultipartUpload",
                "DELETE": "AbortMultipartUpload",
                "GET": "ListParts",
            }[self.method]
        return {"PUT": "PutObject", "HEAD": "HeadObject", "GET": "GetObject"}.get(
            self.method, "DeleteObject"
        )


Handler = Callable[[ReceivedRequest, asyncio.StreamWriter], Awaitable[None]]


@dataclass
class ScriptedServer:
    """The running server: its address, and the requests it has received."""

    port: int
    scheme: str = "http"
    requests: list[ReceivedRequest] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}"

    def profile(self, **changes: str) -> Profile:
        profile = Profile(
            name="p",
            endpoint_url=self.url,
            region="r",
            bucket="bucket",
            access_key="a",
            secret_key="s",
            session_token="the-session-token",
        )
        return replace(profile, **changes)  # type: ignore[arg-type]


@asynccontextmanager
async def scripted_server(
    handle: Handler, tls: ssl.SSLContext | None = None
) -> AsyncGenerator[ScriptedServer]:
    """Run a server that gives each request to `handle`, which writes the response."""
    running = ScriptedServer(0, "https" if tls else "http")

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                running.requests.append(await _read(reader))
                await handle(running.requests[-1], writer)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    listener = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    running.port = listener.sockets[0].getsockname()[1]
    try:
        yield running
    finally:
        listener.close()


@asynccontextmanager
async def open_lane_to(
    server: ScriptedServer, lane: str, config: UploadConfig = QUICK
) -> AsyncGenerator[ObjectStore]:
    """Open a lane to the server: "wire" or "boto"."""
    chosen = replace(config, lane="boto" if lane == "boto" else "auto")
    async with open_store(server.profile(), chosen) as store:
        yield store


def response(
    body: bytes = b"", status: str = "200 OK", *, etag: str = '"00"', **headers: str
) -> bytes:
    """Return a response; `etag` "" leaves it out, `headers` have "_" for "-"."""
    fields = {"Content-Length": str(len(body))} | ({"ETag": etag} if etag else {})
    fields |= {name.replace("_", "-"): value for name, value in headers.items()}
    lines = [f"HTTP/1.1 {status}", *(f"{name}: {value}" for name, value in fields.items() if value)]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


def always_respond(data: bytes) -> Handler:
    """Return a handler that responds to every request with the same bytes."""

    async def handle(_request: ReceivedRequest, writer: asyncio.StreamWriter) -> None:
        writer.write(data)

    return handle


async def _read(reader: asyncio.StreamReader) -> ReceivedRequest:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    line, *fields = head.strip().split("\r\n")
    pairs = (item.split(":", 1) for item in fields)
    headers = {name.strip().lower(): value.strip() for name, value in pairs}
    method, target, _ = line.split(" ")
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    return ReceivedRequest(method, target, headers, body)
