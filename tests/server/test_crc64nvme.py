"""CRC-64/NVME as proof: on SeaweedFS, which verifies it; on rclone, which knows no such thing."""

import os
import sys
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conftest import Bucket
from lanes import RCLONE_LANES, REAL_LANES, lane_profile, open_lane
from rclone_server import RcloneServer
from s3_uploader import ConfigError, SourceError, StoreError, UploadConfig, Uploader
from s3_uploader.checksums import CRC64NVME, Checksum, Digests
from s3_uploader.consumers import FileOutcome
from s3_uploader.events import Event, RequestRetried
from s3_uploader.providers import Capabilities
from s3_uploader.sizes import MIB
from s3_uploader.source import FileRange, open_source
from s3_uploader.store import BytesBody, CompletedPart, PutOptions
from s3_uploader.testing import (
    Effect,
    Fault,
    FaultProxy,
    LocalS3Server,
    MemoryStore,
    WrongETag,
)
from s3_uploader.testing.faults.http import Head
from s3_uploader.testing.faults.request import Request
from s3_uploader.testing.hooked import TINY, HookedStore, Moment

pytestmark = pytest.mark.anyio

_PART = 5 * MIB
_SMALL, _ONE_PUT, _PARTS = 1_000, MIB, 2 * _PART + 1
"""Sizes that are sent from memory, from the file with one request, and in three parts."""

_CONFIG = UploadConfig(
    integrity="crc64nvme", part_size=_PART, multipart_threshold=_PART, backoff_base=0
)
_HEADER = "x-amz-checksum-crc64nvme"
_BAD = CRC64NVME.of(b"other bytes").value


def _file(folder: Path, size: int) -> tuple[str, bytes]:
    data = os.urandom(size)
    (folder / "f").write_bytes(data)
    return str(folder / "f"), data


async def _upload(
    proxy: FaultProxy, server: LocalS3Server, path: str, key: str, config: UploadConfig = _CONFIG
) -> tuple[FileOutcome, list[str]]:
    """Upload through the proxy; return the outcome and what was tried again, by message code."""
    events: list[Event] = []
    async with Uploader(proxy.profile(server), config=config) as uploader:
        outcome = await uploader.upload_file(path, key, consumers=[events.append])
    return outcome, [event.code for event in events if isinstance(event, RequestRetried)]


# ------------------------------------------------------------------------------------- arithmetic


def test_checksum_is_written_as_amazon_s3_writes_it() -> None:
    """The check value of the CRC catalogue, 0xae8b14860a799888."""
    assert CRC64NVME.of(b"123456789").value == "rosUhgp5mIg="
    assert CRC64NVME.of(b"").value == "AAAAAAAAAAA="


@given(st.lists(st.binary(max_size=300), max_size=6))
def test_checksums_of_pieces_make_that_of_the_whole(pieces: list[bytes]) -> None:
    checksums = [(CRC64NVME.of(piece), len(piece)) for piece in pieces]
    assert CRC64NVME.combined(checksums) == CRC64NVME.of(b"".join(pieces))


# ---------------------------------------------------------------------------------- right bytes


@pytest.mark.parametrize("lane", REAL_LANES)
@pytest.mark.parametrize("size", [0, 1, _SMALL, _ONE_PUT, _PARTS])
async def test_right_bytes_are_proven(
    lane: str, size: int, server: LocalS3Server, bucket: Bucket, tmp_path: Path, prefix: str
) -> None:
    path, data = _file(tmp_path, size)
    config = replace(
        _CONFIG, ca_bundle=server.ca_bundle, lane="boto" if lane.startswith("boto") else "auto"
    )
    async with Uploader(lane_profile(lane, server), config=config) as uploader:
        outcome = await uploader.upload_file(path, f"{prefix}/k")
    assert (outcome.ok, outcome.verified_by) == (True, "crc64nvme")
    assert bucket.get(f"{prefix}/k") == data
    head = bucket.client.head_object(Bucket=bucket.name, Key=f"{prefix}/k", ChecksumMode="ENABLED")
    assert head["ChecksumCRC64NVME"] == CRC64NVME.of(data).value


@pytest.mark.parametrize("lane", REAL_LANES)
async def test_wrong_checksum_is_refused_and_replaces_nothing(
    lane: str, server: LocalS3Server, prefix: str
) -> None:
    key, kind = f"{prefix}/k", "application/octet-stream"
    wrong = BytesBody(b"new", checksum=Checksum("crc64nvme", _BAD))
    right = BytesBody(b"new", checksum=CRC64NVME.of(b"new"))
    async with open_lane(lane, server) as store:
        await store.put_object(key, BytesBody(b"old"), PutOptions(kind))
        upload_id = await store.create_multipart_upload(key, PutOptions(kind, checksum=CRC64NVME))
        asks: list[Callable[[], Awaitable[Any]]] = [
            lambda: store.put_object(key, wrong, PutOptions(kind)),
            lambda: store.upload_part(key, upload_id, 1, wrong),
        ]
        for ask in asks:
            with pytest.raises(StoreError) as caught:
                await ask()
            assert (caught.value.s3_code, caught.value.retryable) == ("BadDigest", True)
        part = await store.upload_part(key, upload_id, 1, right)
        assert part.checksums == (right.checksum,)
        parts = [CompletedPart(1, part.etag)]
        with pytest.raises(StoreError) as caught:
            await store.complete_multipart_upload(key, upload_id, parts, wrong.checksum)
        assert caught.value.s3_code == "BadDigest"
        assert b"".join([block async for block in store.get_object(key)]) == b"old"
        whole = await store.complete_multipart_upload(key, upload_id, parts, right.checksum)
        assert whole.checksums == (right.checksum,)
        assert b"".join([block async for block in store.get_object(key)]) == b"new"


# ------------------------------------------------------------------------------- damage and lies


@pytest.mark.parametrize("lane", ["auto", "boto"])
@pytest.mark.parametrize(
    ("size", "operation"), [(_SMALL, "PutObject"), (_ONE_PUT, "PutObject"), (_PARTS, "UploadPart")]
)
async def test_flipped_bit_is_refused_and_the_body_sent_again(
    lane: Any,
    size: int,
    operation: str,
    server: LocalS3Server,
    bucket: Bucket,
    tmp_path: Path,
    prefix: str,
) -> None:
    path, data = _file(tmp_path, size)
    with FaultProxy(server, [f"{operation}:flip:first=1"]) as proxy:
        outcome, retried = await _upload(
            proxy, server, path, f"{prefix}/k", replace(_CONFIG, lane=lane)
        )
        refused = [record.status for record in proxy.log if record.fault]
    assert (refused, retried) == ([400], ["store.busy"])
    assert (outcome.ok, outcome.verified_by) == (True, "crc64nvme")
    assert bucket.get(f"{prefix}/k") == data


@pytest.mark.parametrize("size", [_SMALL, _ONE_PUT, _PARTS])
async def test_bytes_damaged_each_time_are_never_published(
    size: int, server: LocalS3Server, bucket: Bucket, tmp_path: Path, prefix: str
) -> None:
    path, _ = _file(tmp_path, size)
    with FaultProxy(server, ["PutObject:flip", "UploadPart:flip"]) as proxy:
        config = replace(_CONFIG, max_attempts=2, journal="off")
        outcome, _ = await _upload(proxy, server, path, f"{prefix}/k", config)
    assert not outcome.ok
    assert not bucket.exists(f"{prefix}/k")
    assert bucket.open_uploads(prefix) == []


@dataclass(frozen=True)
class SetChecksum(Effect):
    """Puts another checksum than the store's into responses; "" removes it."""

    value: str = ""
    operations = ("PutObject", "UploadPart", "CompleteMultipartUpload")
    bodies = ("CompleteMultipartUpload",)

    def edit(self, head: Head, random_bits: int) -> None:
        del random_bits
        head.drop(_HEADER)
        if self.value:
            head.set(_HEADER, self.value)

    def edit_body(self, body: bytes, request: Request, random_bits: int) -> bytes:
        del request, random_bits
        before, _, rest = body.partition(b"<ChecksumCRC64NVME>")
        after = rest.partition(b"</ChecksumCRC64NVME>")[2]
        element = f"<ChecksumCRC64NVME>{self.value}</ChecksumCRC64NVME>" if self.value else ""
        return before + element.encode() + after if after else body


@pytest.mark.parametrize("value", ["", _BAD])
@pytest.mark.parametrize(
    ("size", "operation"), [(_SMALL, "PutObject"), (_ONE_PUT, "PutObject"), (_PARTS, "UploadPart")]
)
async def test_body_is_sent_again_if_the_response_has_no_checksum(
    size: int, operation: str, value: str, server: LocalS3Server, tmp_path: Path, prefix: str
) -> None:
    path, _ = _file(tmp_path, size)
    with FaultProxy(server, [Fault(operation, SetChecksum(value), first=1)]) as proxy:
        outcome, retried = await _upload(proxy, server, path, f"{prefix}/k")
    assert retried == ["integrity.checksum" if value else "integrity.no_checksum"]
    assert (outcome.ok, outcome.verified_by) == (True, "crc64nvme")


@pytest.mark.parametrize(
    ("size", "operation"),
    [
        (_SMALL, "PutObject"),
        (_ONE_PUT, "PutObject"),
        (_PARTS, "UploadPart"),
        (_PARTS, "CompleteMultipartUpload"),
    ],
)
async def test_store_that_returns_another_checksum_is_never_believed(
    size: int, operation: str, server: LocalS3Server, tmp_path: Path, prefix: str
) -> None:
    path, _ = _file(tmp_path, size)
    with FaultProxy(server, [Fault(operation, SetChecksum(_BAD))]) as proxy:
        config = replace(_CONFIG, max_attempts=2)
        outcome, _ = await _upload(proxy, server, path, f"{prefix}/k", config)
    assert (outcome.ok, outcome.error) == (False, "integrity.checksum")
    assert _BAD in outcome.message()


@pytest.mark.parametrize("lane", RCLONE_LANES)
@pytest.mark.parametrize("size", [_SMALL, _ONE_PUT, _PARTS])
async def test_store_without_checksums_is_a_failure_that_names_the_setting(
    lane: str, size: int, rclone: RcloneServer, tmp_path: Path, prefix: str
) -> None:
    path, _ = _file(tmp_path, size)
    choice: Any = "boto" if lane.startswith("boto") else "auto"
    config = replace(_CONFIG, lane=choice, max_attempts=2)
    async with Uploader(lane_profile(lane, rclone), config=config) as uploader:
        outcome = await uploader.upload_file(path, f"{prefix}/k")
    assert (outcome.ok, outcome.error) == (False, "integrity.no_checksum")
    assert "S3_UPLOADER_INTEGRITY" in outcome.message()


async def test_parts_damaged_at_the_store_are_not_published(tmp_path: Path) -> None:
    path, _ = _file(tmp_path, 3_000)
    memory = MemoryStore(provider=TINY)

    async def damage(moment: Moment) -> None:
        if (moment.when, moment.operation) == ("before", "CompleteMultipartUpload"):
            (upload,) = memory.uploads.values()
            # Its ETag changes with it: of what was damaged before that, it says nothing.
            upload.parts[2], upload.parts[3] = upload.parts[3], upload.parts[2]

    class Careless(HookedStore):
        async def complete_multipart_upload(
            self, key: str, upload_id: str, parts: Any, checksum: Checksum | None = None
        ) -> Any:
            parts = [parts[0], replace(parts[1], number=3), replace(parts[2], number=2)]
            parts.sort(key=lambda part: part.number)
            return await super().complete_multipart_upload(key, upload_id, parts, checksum)

    config = UploadConfig(integrity="crc64nvme", backoff_base=0)
    async with Uploader(store=Careless(memory, damage), config=config) as uploader:
        outcome = await uploader.upload_file(path, "k")
    assert outcome.error == "integrity.parts"
    assert (memory.objects, memory.uploads) == ({}, {})


async def test_file_that_changes_before_or_after_its_checksum_is_an_error(tmp_path: Path) -> None:
    path, _ = _file(tmp_path, MIB)
    body = FileRange(path, open_source(path), size=MIB, digests=Digests(checksum=CRC64NVME))
    await body.prepare()
    (tmp_path / "f").write_bytes(bytes(MIB))
    os.utime(path, ns=(0, 0))
    with pytest.raises(SourceError, match="changed"):
        for _ in body.spans(memoryview(bytearray(4096))):
            pass
    with pytest.raises(SourceError, match="changed"):
        await body.prepare()


# ------------------------------------------------------------------------------ lost responses


@pytest.mark.parametrize(
    ("faults", "verified"),
    [
        ([Fault("CompleteMultipartUpload", SetChecksum())], "crc64nvme"),
        (["CompleteMultipartUpload:lose:first=1"], "crc64nvme"),
        (
            [
                "CompleteMultipartUpload:lose:first=1",
                Fault("HeadObject", WrongETag("opaque")),
            ],
            "size",
        ),
    ],
)
async def test_etag_or_else_size_decides_after_a_lost_response_to_complete(
    faults: list[Fault | str],
    verified: str,
    server: LocalS3Server,
    bucket: Bucket,
    tmp_path: Path,
    prefix: str,
) -> None:
    path, data = _file(tmp_path, _PARTS)
    with FaultProxy(server, faults) as proxy:
        outcome, _ = await _upload(proxy, server, path, f"{prefix}/k")
    assert (outcome.ok, outcome.verified_by) == (True, verified)
    assert bucket.get(f"{prefix}/k") == data


@pytest.mark.parametrize("size", [_SMALL, _ONE_PUT])
async def test_put_whose_responses_are_lost_is_found_by_md5(
    size: int, server: LocalS3Server, tmp_path: Path, prefix: str
) -> None:
    path, _ = _file(tmp_path, size)
    await_first = UploadConfig(integrity="crc64nvme", max_attempts=2, backoff_base=0)
    with FaultProxy(server, ["PutObject:524:when=after"]) as proxy:
        outcome, _ = await _upload(proxy, server, path, f"{prefix}/k", await_first)
    assert (outcome.ok, outcome.verified_by) == (True, "etag-md5")


@pytest.mark.parametrize(
    ("before", "after", "verified"),
    [
        ("crc64nvme", "crc64nvme", "crc64nvme"),
        ("md5", "crc64nvme", "etag-md5"),
        ("crc64nvme", "md5", "etag-md5"),
    ],
)
async def test_interrupted_upload_is_resumed_with_the_checksum_it_began_with(
    before: Any,
    after: Any,
    verified: str,
    server: LocalS3Server,
    bucket: Bucket,
    tmp_path: Path,
    prefix: str,
) -> None:
    path, data = _file(tmp_path, _PARTS)
    config = replace(
        _CONFIG, integrity=before, max_attempts=1, max_requests=1, journal=str(tmp_path / "j")
    )
    with FaultProxy(server, ["UploadPart:503:part=3"]) as proxy:
        outcome, _ = await _upload(proxy, server, path, f"{prefix}/k", config)
        assert not outcome.ok
        proxy.clear()
        config = replace(config, integrity=after)
        outcome, _ = await _upload(proxy, server, path, f"{prefix}/k", config)
    assert (outcome.ok, outcome.verified_by) == (True, verified)
    assert outcome.reused > 0
    assert bucket.get(f"{prefix}/k") == data


# ------------------------------------------------------------------------------------ the choice


@dataclass(frozen=True)
class Watch(Effect):
    """Notes the headers of requests that have to do with checksums."""

    seen: list[bytes]

    def applies_to(self, request: Request, memory: Counter[str]) -> bool:
        del memory
        self.seen.extend(name for name, _ in request.head.headers if b"checksum" in name.lower())
        return False


@pytest.mark.parametrize("integrity", ["auto", "md5", "off"])
@pytest.mark.parametrize("lane", ["auto", "boto"])
async def test_no_other_setting_sends_a_checksum_to_an_unknown_store(
    integrity: Any, lane: Any, server: LocalS3Server, tmp_path: Path, prefix: str
) -> None:
    watch = Watch([])
    config = replace(_CONFIG, integrity=integrity, lane=lane)
    for size in (_SMALL, _ONE_PUT, _PARTS):
        path, _ = _file(tmp_path, size)
        with FaultProxy(server, [Fault("*", watch)]) as proxy:
            outcome, _ = await _upload(proxy, server, path, f"{prefix}/k", config)
            assert outcome.ok
    assert watch.seen == []


@pytest.mark.parametrize("size", [10, 2_500])
async def test_auto_uses_the_checksum_where_the_store_is_known_to_verify_it(
    size: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, data = _file(tmp_path, size)
    store = HookedStore()
    store.provider = replace(TINY, capabilities=Capabilities(crc64nvme=True))
    for verified in ("crc64nvme", "etag-md5"):
        async with Uploader(store=store, config=UploadConfig()) as uploader:
            outcome = await uploader.upload_file(path, "k")
        assert (outcome.verified_by, store.memory.objects["k"]) == (verified, data)
        # The second time it is not installed.
        monkeypatch.setitem(sys.modules, "awscrt", None)


def test_setting_without_its_library_fails_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "awscrt", None)
    with pytest.raises(ConfigError, match=r"s3up\[crc\]") as caught:
        UploadConfig.load(environ={"S3_UPLOADER_INTEGRITY": "crc64nvme"})
    assert caught.value.code == "config.needs_extra"
    assert UploadConfig().integrity == "auto"
