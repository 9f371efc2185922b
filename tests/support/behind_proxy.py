"""An Uploader behind the fault proxy, with settings that fail fast."""

from collections.abc import AsyncGenerator, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import anyio
import pytest

from conftest import Bucket
from lanes import Server
from s3_uploader import FileOutcome, UploadConfig, Uploader
from s3_uploader.events import Event, RequestRetried, Warned
from s3_uploader.sizes import MIB
from s3_uploader.testing import Fault, FaultProxy, Record

PART = 5 * MIB
"""SeaweedFS refuses smaller ones."""

IN_PARTS = PART + 4_321
"""Bytes of a file of two parts."""

BOTH_LANES = ["wire", pytest.param("boto", marks=pytest.mark.long)]
"""Both lanes, for tests where the lane makes little difference: one is enough for every day."""

LIMIT_SECONDS = 60
"""An upload that takes longer hangs."""

FAST = UploadConfig(
    part_size=PART,
    multipart_threshold=PART,
    max_attempts=3,
    backoff_base=0.01,
    backoff_cap=0.05,
    outcome_timeout=0.5,
    stall_timeout=5,
    response_timeout=10,
    journal="off",
)


@dataclass
class ProxyRig:
    """A fault proxy in front of the server, and an open Uploader that knows only the proxy."""

    proxy: FaultProxy
    uploader: Uploader
    bucket: Bucket
    config: UploadConfig
    events: list[Event] = field(default_factory=list)

    async def upload(self, path: Path, key: str) -> FileOutcome:
        """Upload a file; it must not hang."""
        with anyio.fail_after(LIMIT_SECONDS):
            return await self.uploader.upload_file(path, key, consumers=[self.events.append])

    def statuses(self, operation: str) -> list[int | None]:
        """Return the status of each response to an operation, None where there was none."""
        return [record.status for record in self.proxy.log if record.operation == operation]

    @property
    def retries(self) -> list[RequestRetried]:
        """The retries of all uploads so far."""
        return [event for event in self.events if isinstance(event, RequestRetried)]

    @property
    def warnings(self) -> list[str]:
        """The codes of the warnings so far."""
        return [event.code for event in self.events if isinstance(event, Warned)]

    def content(self, key: str) -> bytes | None:
        """Return the object's bytes, None if there is none."""
        return self.bucket.get(key) if self.bucket.exists(key) else None


@asynccontextmanager
async def behind_proxy(
    server: Server,
    bucket: Bucket,
    *faults: Fault | str,
    seed: int = 0,
    **settings: Any,
) -> AsyncGenerator[ProxyRig]:
    """Open an Uploader behind a proxy; `settings` change `FAST`."""
    settings["lane"] = "boto" if settings.get("lane") == "boto" else "auto"
    config = replace(FAST, **settings)
    with FaultProxy(server.http_url, faults, seed=seed) as proxy:
        async with Uploader(proxy.profile(server.profile()), config=config) as uploader:
            yield ProxyRig(proxy, uploader, bucket, config)


def published(log: Iterable[Record], key: str) -> bool:
    """Return whether the server itself has responded that it published the object."""
    publishing = {"PutObject", "CompleteMultipartUpload"}
    return any(
        record.operation in publishing and record.key == key and record.upstream_status == 200
        for record in log
    )


def with_flipped_bit(data: bytes, at: int) -> bytes:
    """Return `data` with one bit changed."""
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


@contextmanager
def deleted_after(bucket: Bucket, key: str) -> Iterator[None]:
    """Delete the object after the block: the long forms would fill the disk."""
    try:
        yield
    finally:
        bucket.client.delete_object(Bucket=bucket.name, Key=key)
