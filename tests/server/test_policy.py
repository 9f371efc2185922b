"""The retry policy as the store sees it: how often, how soon, how large, signed by whom, when."""

import os
import time
from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from email.utils import formatdate
from pathlib import Path

import anyio
import pytest

from behind_proxy import BOTH_LANES, FAST, IN_PARTS, LIMIT_SECONDS, PART, behind_proxy
from conftest import Bucket
from s3_uploader import Uploader
from s3_uploader.sizes import MIB
from s3_uploader.testing import (
    Effect,
    ExpireCredentials,
    Fault,
    FaultProxy,
    LimitBody,
    LocalS3Server,
    LoseResponse,
    Record,
    Respond,
)
from s3_uploader.testing.faults.request import Request

pytestmark = pytest.mark.anyio


def make_file(folder: Path, size: int) -> Path:
    path = folder / f"f{size}"
    path.write_bytes(os.urandom(size))
    return path


# ------------------------------------------------------------------------------------ how soon


@pytest.mark.parametrize("lane", BOTH_LANES)
@pytest.mark.parametrize("status", [429, 503])
async def test_retry_after_in_seconds_is_waited_for(
    server: LocalS3Server, bucket: Bucket, tmp_path: Path, prefix: str, lane: str, status: int
) -> None:
    fault = Fault("PutObject", Respond(status, headers={"Retry-After": "1"}), first=1)
    async with behind_proxy(server, bucket, fault, lane=lane) as rig:
        outcome = await rig.upload(make_file(tmp_path, 1_000), prefix)
    assert outcome.ok
    (retry,) = rig.retries
    assert 1 <= retry.delay <= 1 + FAST.backoff_base
    assert outcome.seconds >= retry.delay


@pytest.mark.parametrize("lane", BOTH_LANES)
async def test_retry_after_as_a_date_is_waited_for(
    server: LocalS3Server, bucket: Bucket, tmp_path: Path, prefix: str, lane: str
) -> None:
    at = int(time.time()) + 3
    header = {"Retry-After": formatdate(at, usegmt=True)}
    fault = Fault("UploadPart", Respond(503, headers=header), part=1, first=1)
    async with behind_proxy(server, bucket, fault, lane=lane) as rig:
        outcome = await rig.upload(make_file(tmp_path, IN_PARTS), prefix)
    assert outcome.ok
    assert time.time() >= at
    (retry,) = rig.retries
    assert 0.5 < retry.delay <= 3 + FAST.backoff_base


@pytest.mark.parametrize("value", ["0", "-5", "soon", "Thu, 01 Jan 1970 00:00:00 GMT"])
async def test_retry_after_without_a_wait_adds_none(
    server: LocalS3Server, bucket: Bucket, tmp_path: Path, prefix: str, value: str
) -> None:
    fault = Fault("PutObject", Respond(503, headers={"Retry-After": value}), first=1)
    async with behind_proxy(server, bucket, fault) as rig:
        outcome = await rig.upload(make_file(tmp_path, 1_000), prefix)
    assert outcome.ok
    assert [retry.delay <= FAST.backoff_base for retry in rig.retries] == [True]


async def test_complete_waits_as_the_store_asks(
    server: LocalS3Server, bucket: Bucket, tmp_path: Path, prefix: str
) -> None:
    fault = Fault("CompleteMultipartUpload", Respond(503, headers={"Retry-After": "1"}), first=1)
    async with behind_proxy(server, bucket, fault) as rig:
        outcome = await rig.upload(make_file(tmp_path, IN_PARTS), prefix)
    assert outcome.ok
    assert [retry.operation for retry in rig.retries] == ["CompleteMultipartUpload"]
    assert 1 <= rig.retries[0].delay <= 1 + FAST.backoff_base


# ----------------------------------------------------------------------------------- how often


@pytest.mark.parametrize("lane", BOTH_LANES)
async def test_failed_part_is_sent_again_alone(
    server: LocalS3Server, bucket: Bucket, tmp_path: Path, prefix: str, lane: str
) -> None:
    path = make_file(tmp_path, 3 * PART + 1)
    async with behind_proxy(server, bucket, "UploadPart:500:part=2:first=2", lane=lane) as rig:
        outcome = await rig.upload(path, prefix)
    assert outcome.ok
    parts = Counter(record.part for record in rig.proxy.log if record.part)
    assert parts == {1: 1, 2: 3, 3: 1, 4: 1}
    assert rig.proxy.count("CreateMultipartUpload") == 1
    assert rig.proxy.count("CompleteMultipartUpload") == 1
    assert rig.content(prefix) == path.read_bytes()


_REQUESTS = {
    "small": (1_000, "PutObject"),
    "put": (300_000, "PutObject"),
    "create": (IN_PARTS, "CreateMultipartUpload"),
    "part": (IN_PARTS, "UploadPart"),
    "complete": (IN_PARTS, "CompleteMultipartUpload"),
}


@pytest.mark.parametrize("lane", BOTH_LANES)
@pytest.mark.parametrize(("size", "operation"), _REQUESTS.values(), ids=_REQUESTS)
@pytest.mark.parametrize("attempts", [pytest.param(1, marks=pytest.mark.long), 4])
async def test_request_is_made_max_attempts_times(
    server: LocalS3Server,
    bucket: Bucket,
    tmp_path: Path,
    prefix: str,
    lane: str,
    size: int,
    operation: str,
    attempts: int,
) -> None:
    fault = Fault(operation, Respond(503), part=1 if operation == "UploadPart" else None)
    async with behind_proxy(server, bucket, fault, lane=lane, max_attempts=attempts) as rig:
        outcome = await rig.upload(make_file(tmp_path, size), prefix)
    assert outcome.status == "failed"
    refused = [record for record in rig.proxy.log if record.status == 503]
    assert len(refused) == attempts
    assert [retry.attempt for retry in rig.retries] == list(range(1, attempts))
    assert bucket.open_uploads(prefix) == []


@pytest.mark.parametrize("lane", ["wire", "boto"])
@pytest.mark.parametrize("name", ["small", "put", "part"])
async def test_lost_response_is_an_attempt(
    server: LocalS3Server, bucket: Bucket, tmp_path: Path, prefix: str, lane: str, name: str
) -> None:
    """Of aiohttp: it makes any PUT twice whose body it can send again, and has no public switch."""
    size, operation = _REQUESTS[name]
    fault = Fault(operation, LoseResponse(), part=1 if operation == "UploadPart" else None)
    async with behind_proxy(server, bucket, fault, lane=lane) as rig:
        await rig.upload(make_file(tmp_path, size), prefix)
    lost = [record for record in rig.proxy.log if record.fault]
    twice = lane == "boto" and name == "small"
    assert len(lost) == FAST.max_attempts * (2 if twice else 1)
    assert len(rig.retries) == FAST.max_attempts - 1


@pytest.mark.parametrize("lane", BOTH_LANES)
async def test_complete_whose_response_is_lost_is_looked_up_before_it_is_repeated(
    server: LocalS3Server, bucket: Bucket, tmp_path: Path, prefix: str, lane: str
) -> None:
    async with behind_proxy(server, bucket, "CompleteMultipartUpload:lose", lane=lane) as rig:
        outcome = await rig.upload(make_file(tmp_path, IN_PARTS), prefix)
    assert outcome.ok
    assert rig.proxy.count("CompleteMultipartUpload") == 1
    assert rig.proxy.count("HeadObject") == 1


@pytest.mark.parametrize("size", [1_000, 250_000, 300_000])
async def test_kept_connection_closed_without_a_response_is_replaced_once_without_a_retry(
    server: LocalS3Server, bucket: Bucket, tmp_path: Path, prefix: str, size: int
) -> None:
    """A store may close an idle connection at any time: one more PUT, which no event reports.

    RFC 9112, section 9.3.1, allows it for what may be repeated; only the first attempt finds a
    kept connection, so it is one more in all.
    """
    async with behind_proxy(server, bucket, max_requests=1) as rig:
        assert (await rig.upload(make_file(tmp_path, size), f"{prefix}/first")).ok
        rig.proxy.inject(Fault("PutObject", LoseResponse()))
        await rig.upload(make_file(tmp_path, size), f"{prefix}/second")
    lost = [record for record in rig.proxy.log if record.fault]
    # Of a body of more than a buffer the connection had taken something: it was alive.
    assert len(lost) == FAST.max_attempts + (0 if size == 300_000 else 1)
    assert len(rig.retries) == FAST.max_attempts - 1


@pytest.mark.parametrize("lane", ["wire", "boto"])
async def test_create_whose_response_is_lost_is_looked_up_before_it_is_repeated(
    server: LocalS3Server, bucket: Bucket, tmp_path: Path, prefix: str, lane: str
) -> None:
    journal = str(tmp_path / "journal.db")
    lose = "CreateMultipartUpload:lose"
    async with behind_proxy(server, bucket, lose, lane=lane, journal=journal) as rig:
        outcome = await rig.upload(make_file(tmp_path, IN_PARTS), prefix)
    assert outcome.ok
    assert rig.proxy.count("CreateMultipartUpload") == 1
    assert bucket.open_uploads(prefix) == []


@pytest.mark.parametrize("lane", BOTH_LANES)
async def test_post_is_never_repeated_without_a_retry(
    server: LocalS3Server, bucket: Bucket, tmp_path: Path, prefix: str, lane: str
) -> None:
    """Over a kept connection too: a second create would leave an upload nobody knows of."""
    path = make_file(tmp_path, IN_PARTS)
    async with behind_proxy(server, bucket, lane=lane, max_requests=1) as rig:
        assert (await rig.upload(path, f"{prefix}/first")).ok
        # Without the listing the lost upload cannot be found, and another is created.
        rig.proxy.inject("CreateMultipartUpload:lose", "ListMultipartUploads:501")
        assert (await rig.upload(path, f"{prefix}/second")).status == "failed"
        rig.proxy.clear()
        rig.proxy.inject("CompleteMultipartUpload:lose:first=1")
        assert (await rig.upload(path, f"{prefix}/third")).ok
    lost = Counter(record.operation for record in rig.proxy.log if record.fault)
    assert lost["CreateMultipartUpload"] == FAST.max_attempts
    assert lost["CompleteMultipartUpload"] == 1


async def test_retries_of_a_file_are_limited(
    server: LocalS3Server, bucket: Bucket, tmp_path: Path, prefix: str
) -> None:
    attempts, parts = 4, 7
    path = make_file(tmp_path, parts * PART)
    fault = "UploadPart:503:first=3:per=key"
    async with behind_proxy(server, bucket, fault, max_attempts=attempts) as rig:
        outcome = await rig.upload(path, prefix)
    # Each part would have come through at its fourth attempt: 21 retries in all.
    assert outcome.status == "failed"
    assert len(rig.retries) == 3 * attempts + parts
    assert bucket.open_uploads(prefix) == []


async def test_retries_within_the_budget_of_a_file_end_in_success(
    server: LocalS3Server, bucket: Bucket, tmp_path: Path, prefix: str
) -> None:
    path = make_file(tmp_path, 5 * PART)
    fault = "UploadPart:503:first=3:per=key"
    async with behind_proxy(server, bucket, fault, max_attempts=4) as rig:
        outcome = await rig.upload(path, prefix)
    assert outcome.ok
    assert len(rig.retries) == 15
    assert rig.content(prefix) == path.read_bytes()


# ----------------------------------------------------------------------------------- how large


@pytest.mark.parametrize("lane", BOTH_LANES)
@pytest.mark.parametrize("size", [20 * MIB, 30 * MIB], ids=["put", "parts"])
async def test_body_too_large_is_sent_again_in_smaller_parts(
    server: LocalS3Server, bucket: Bucket, tmp_path: Path, prefix: str, lane: str, size: int
) -> None:
    limit = Fault("*", LimitBody(7_000_000))
    large = {"part_size": 24 * MIB, "multipart_threshold": 24 * MIB}
    path = make_file(tmp_path, size)
    async with behind_proxy(server, bucket, limit, lane=lane, **large) as rig:
        outcome = await rig.upload(path, f"{prefix}/first")
        assert outcome.ok, outcome.message()
        refused = [record for record in rig.proxy.log if record.status == 413]
        assert refused
        assert rig.warnings == ["upload.smaller_parts"]
        outcome = await rig.upload(path, f"{prefix}/second")
        assert outcome.ok
    # The second file begins with what the first has taught.
    assert [record for record in rig.proxy.log if record.status == 413] == refused
    assert all(record.key == f"{prefix}/first" for record in refused)
    for name in ("first", "second"):
        assert rig.content(f"{prefix}/{name}") == path.read_bytes()
    assert bucket.open_uploads(prefix) == []


async def test_body_is_made_smaller_until_it_passes(
    server: LocalS3Server, bucket: Bucket, tmp_path: Path, prefix: str
) -> None:
    """A quarter of 24 MiB is still too large here; the smallest part is not."""
    large = {"part_size": 24 * MIB, "multipart_threshold": 24 * MIB}
    path = make_file(tmp_path, 25 * MIB)
    async with behind_proxy(server, bucket, Fault("*", LimitBody(5_500_000)), **large) as rig:
        outcome = await rig.upload(path, prefix)
    assert outcome.ok, outcome.message()
    assert rig.content(prefix) == path.read_bytes()
    assert bucket.open_uploads(prefix) == []


@pytest.mark.parametrize("lane", BOTH_LANES)
async def test_limit_below_the_smallest_part_fails_clearly(
    server: LocalS3Server, bucket: Bucket, tmp_path: Path, prefix: str, lane: str
) -> None:
    large = {"part_size": 24 * MIB, "multipart_threshold": 24 * MIB}
    path = make_file(tmp_path, 25 * MIB)
    async with behind_proxy(
        server, bucket, Fault("*", LimitBody(1_000_000)), lane=lane, **large
    ) as rig:
        outcome = await rig.upload(path, prefix)
        assert (outcome.status, outcome.error) == ("failed", "store.too_large")
        # What fits is not affected.
        small = await rig.upload(make_file(tmp_path, 900_000), f"{prefix}-small")
        assert small.ok
    assert rig.content(prefix) is None
    assert bucket.open_uploads(prefix) == []


async def test_one_refusal_of_a_middling_body_does_not_make_all_parts_tiny(
    server: LocalS3Server, bucket: Bucket, tmp_path: Path, prefix: str
) -> None:
    """Where a store takes parts of any size, as RunPod does, a quarter must not become a byte."""
    async with behind_proxy(server, bucket, "PutObject:413", min_part_size=1) as rig:
        await rig.upload(make_file(tmp_path, 2 * MIB), prefix)
    # SeaweedFS then refuses parts of 1 MiB; what counts is that they are tried.
    sizes = {record.body_bytes for record in rig.proxy.log if record.operation == "UploadPart"}
    assert sizes == {MIB}


# -------------------------------------------------------------------------------- signed by whom


def write_profile(home: Path, proxy: FaultProxy, server: LocalS3Server, access_key: str) -> None:
    good = proxy.profile(server)
    lines = [
        "[runpods3]",
        f"aws_access_key_id = {access_key}",
        f"aws_secret_access_key = {good.secret_key}",
        f"datacenter = {server.datacenter}",
        f"volume_id = {good.bucket}",
        f"endpoint_url = {good.endpoint_url}",
    ]
    file = home / ".runpod_s3_config"
    file.touch(mode=0o600)
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")


@pytest.mark.parametrize("size", [1_000, 300_000, IN_PARTS])
@pytest.mark.parametrize(
    "lane",
    [
        "wire",
        pytest.param(
            "boto",
            marks=pytest.mark.xfail(
                strict=True, reason="the boto lane keeps the keys it began with"
            ),
        ),
    ],
)
async def test_expired_keys_are_read_again_from_the_profile(
    server: LocalS3Server, bucket: Bucket, tmp_path: Path, home: Path, size: int, lane: str
) -> None:
    path = make_file(tmp_path, size)
    key = f"expired-{size}-{lane}"
    with FaultProxy(server, [Fault("*", ExpireCredentials())]) as proxy:
        write_profile(home, proxy, server, "EXPIRED")

        def hook(record: Record) -> None:
            if record.sequence == 1:
                write_profile(home, proxy, server, server.access_key)

        proxy.hook = hook
        config = replace(FAST, lane="boto" if lane == "boto" else "auto")
        with anyio.fail_after(LIMIT_SECONDS):
            async with Uploader("runpods3", config=config) as uploader:
                outcome = await uploader.upload_file(path, key)
        refused = [record for record in proxy.log if record.status == 400]
    assert outcome.ok, outcome.message()
    assert bucket.get(key) == path.read_bytes()
    assert len(refused) == 1


@pytest.mark.parametrize("lane", BOTH_LANES)
@pytest.mark.parametrize("named", [True, False])
async def test_keys_expired_for_good_stop_the_upload(
    server: LocalS3Server,
    tmp_path: Path,
    home: Path,
    prefix: str,
    lane: str,
    named: bool,  # noqa: FBT001
) -> None:
    for number in range(20):
        (tmp_path / f"f{number}").write_bytes(b"x")
    with FaultProxy(server, [Fault("*", ExpireCredentials())]) as proxy:
        write_profile(home, proxy, server, server.access_key)
        profile = "runpods3" if named else proxy.profile(server)
        config = replace(FAST, max_requests=1, lane="boto" if lane == "boto" else "auto")
        with anyio.fail_after(LIMIT_SECONDS):
            async with Uploader(profile, config=config) as uploader:
                report = await uploader.upload_directory(tmp_path, prefix)
        assert proxy.count() <= 2
    assert report.failed == 20
    errors = Counter(outcome.error for outcome in report.files)
    assert set(errors) == {"store.expired_token", "upload.stopped"}
    assert errors["store.expired_token"] <= 2
    assert "expired" in report.files[0].message()


# ---------------------------------------------------------------------------------- signed when


@dataclass(frozen=True)
class Seen(Effect):
    """Does nothing, and keeps when each request was signed."""

    times: list[datetime] = field(default_factory=list, hash=False)

    def applies_to(self, request: Request, memory: Counter[str]) -> bool:
        del memory
        if request.signed_at is not None:
            self.times.append(request.signed_at)
        return False


@pytest.mark.parametrize("minutes", [-7, 7])
@pytest.mark.parametrize("size", [1_000, IN_PARTS])
async def test_wrong_clock_is_corrected_by_that_of_the_store(
    server: LocalS3Server, bucket: Bucket, tmp_path: Path, prefix: str, minutes: int, size: int
) -> None:
    seen = Seen()
    date = formatdate(time.time() + 60 * minutes, usegmt=True)
    skewed = Respond(403, "RequestTimeTooSkewed", headers={"Date": date})
    path = make_file(tmp_path, size)
    faults = [Fault("*", seen), Fault("*", skewed, first=1)]
    async with behind_proxy(server, bucket, *faults, max_requests=1) as rig:
        outcome = await rig.upload(path, prefix)
    assert outcome.ok, outcome.message()
    assert rig.content(prefix) == path.read_bytes()
    now = datetime.now(UTC)
    first, *others = seen.times
    assert abs(now - first) < timedelta(minutes=1)
    assert others
    for signed in others:
        assert abs(now + timedelta(minutes=minutes) - signed) < timedelta(minutes=1)


@pytest.mark.parametrize("lane", BOTH_LANES)
async def test_refusal_of_a_right_clock_fails_clearly(
    server: LocalS3Server, bucket: Bucket, tmp_path: Path, prefix: str, lane: str
) -> None:
    fault = Fault("*", Respond(403, "RequestTimeTooSkewed"))
    async with behind_proxy(server, bucket, fault, lane=lane) as rig:
        outcome = await rig.upload(make_file(tmp_path, 1_000), prefix)
    assert (outcome.status, outcome.error) == ("failed", "store.clock_skew")
    assert rig.proxy.count() == 1
