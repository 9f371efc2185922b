"""The servers a scenario runs against, and how each shows whether the work arrived."""

from contextlib import ExitStack
from dataclasses import dataclass, field
from types import TracebackType
from typing import Literal, Protocol, Self

import boto3
from benchmarks.sink import Line, Sink
from benchmarks.work import GIB, Work
from botocore.config import Config

from s3_uploader.testing import LocalS3Server

REGION = "us-east-1"
BUCKET = "bench"

_MOST_BYTES = 3 * GIB
_MOST_OBJECTS = 50_000
"""What SeaweedFS may hold: with more, later runs would be slower."""


@dataclass(frozen=True, slots=True)
class Access:
    """What a contender needs to know to upload."""

    endpoint: str
    access_key: str = "bench-access-key"
    secret_key: str = "bench-secret-key"
    ca_bundle: str = ""


@dataclass(frozen=True, slots=True)
class Check:
    """What arrived: `problem` is "" if that is the work, no more and no less."""

    problem: str
    counts: dict[str, float] = field(default_factory=dict)


class Server(Protocol):
    """A running server."""

    access: Access
    needs_signature: bool
    slow: bool

    def before(self, work: Work) -> None:
        """Make ready for a run."""

    def after(self, prefix: str, work: Work) -> Check:
        """Compare what arrived below `prefix` with the work."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...


class SinkServer:
    """The null sink."""

    needs_signature = False

    def __init__(self, etag: Literal["md5", "opaque"], line: Line | None = None) -> None:
        self._sink = Sink(etag, line)
        self.slow = line is not None
        self.access = Access("")

    def before(self, work: Work) -> None:
        """Forget what the run before left."""
        del work
        self._sink.reset()

    def after(self, prefix: str, work: Work) -> Check:
        """Compare objects and bytes; keys are only known to the sink as hashes."""
        del prefix
        stats = self._sink.stats()
        counts: dict[str, float] = {
            "requests": stats.requests,
            "connections": stats.connections,
            "peak_in_flight": stats.peak_in_flight,
            "body_bytes": stats.body_bytes,
            "objects": stats.objects,
            "object_bytes": stats.object_bytes,
            "server_cpu": stats.sink_cpu_seconds,
            **{f"op:{name}": count for name, count in stats.operations.items() if count},
        }
        return Check(_difference(stats.objects, stats.object_bytes, work), counts)

    def __enter__(self) -> Self:
        self._sink.__enter__()
        self.access = Access(self._sink.url)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._sink.__exit__(kind, error, traceback)


class SeaweedServer:
    """SeaweedFS, restarted before it holds more than `_MOST_BYTES` or `_MOST_OBJECTS`."""

    needs_signature = True
    slow = False

    def __init__(self, *, tls: bool) -> None:
        self._tls = tls
        self._stack = ExitStack()
        self._bytes = 0
        self._objects = 0
        self.access = Access("")

    def before(self, work: Work) -> None:
        """Start a fresh server if this work would be too much for the one that runs."""
        fits = self._bytes + work.total <= _MOST_BYTES
        if not fits or self._objects + len(work.sizes) > _MOST_OBJECTS:
            self._stack.close()
            self._start()
        self._bytes += work.total
        self._objects += len(work.sizes)

    def after(self, prefix: str, work: Work) -> Check:
        """Compare the listing below `prefix` with the work, key by key and size by size."""
        client = boto3.client(
            "s3",
            endpoint_url=self.access.endpoint,
            aws_access_key_id=self.access.access_key,
            aws_secret_access_key=self.access.secret_key,
            region_name=REGION,
            verify=self.access.ca_bundle or None,
            config=Config(s3={"addressing_style": "path"}),
        )
        found: dict[str, int] = {}
        pages = client.get_paginator("list_objects_v2")
        for page in pages.paginate(Bucket=BUCKET, Prefix=f"{prefix}/"):
            for item in page.get("Contents", []):
                found[item["Key"].removeprefix(f"{prefix}/")] = item["Size"]
        client.close()
        problem = _difference(len(found), sum(found.values()), work)
        if not problem and found != work.sizes:
            problem = "keys or sizes differ from the work"
        return Check(problem, {"objects": len(found), "object_bytes": sum(found.values())})

    def _start(self) -> None:
        server = self._stack.enter_context(
            LocalS3Server(bucket=BUCKET, datacenter=REGION, tls=self._tls)
        )
        ca_bundle = server.ca_bundle if self._tls else ""
        self.access = Access(server.endpoint_url, server.access_key, server.secret_key, ca_bundle)
        self._bytes = self._objects = 0

    def __enter__(self) -> Self:
        self._start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stack.close()


def _difference(objects: int, total: int, work: Work) -> str:
    if objects != len(work.sizes):
        return f"{objects} of {len(work.sizes)} objects arrived"
    if total != work.total:
        return f"{total} of {work.total} bytes arrived"
    return ""


SERVERS = ("sink-md5", "sink-opaque", "wan", "seaweed-http", "seaweed-https")


def make_server(name: str) -> Server:
    """Return the server of that name, not started."""
    match name:
        case "sink-md5":
            return SinkServer("md5")
        case "sink-opaque":
            return SinkServer("opaque")
        case "wan":
            return SinkServer("md5", Line())
        case "seaweed-http":
            return SeaweedServer(tls=False)
        case _:
            return SeaweedServer(tls=True)
