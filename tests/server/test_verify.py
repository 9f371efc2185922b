"""Files compared with objects: what the comparison is based on, and what each response means."""

import hashlib
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import anyio
import pytest

from behind_proxy import (
    BOTH_LANES,
    IN_PARTS,
    LIMIT_SECONDS,
    PART,
    ProxyRig,
    behind_proxy,
    with_flipped_bit,
)
from conftest import Bucket
from s3_uploader import (
    FileComparison,
    SourceError,
    UploadConfig,
    Uploader,
    UploadFailedError,
    verify_directory,
    verify_file,
)
from s3_uploader.errors import InvalidKeyError
from s3_uploader.events import EntrySkipped, Event, ScanFinished
from s3_uploader.sizes import MIB
from s3_uploader.testing import Fault, LocalS3Server, Record, Reset, Respond, WrongETag
from trees import make_tree


@pytest.fixture
def data(tmp_path: Path) -> bytes:
    """The content of `tmp_path`/f, of two parts of our size or of a foreign one."""
    content = os.urandom(7 * MIB + 99)
    tmp_path.joinpath("f").write_bytes(content)
    return content


def put(bucket: Bucket, key: str, body: bytes) -> None:
    bucket.client.put_object(Bucket=bucket.name, Key=key, Body=body)


def put_in_parts(bucket: Bucket, key: str, pieces: list[bytes]) -> str:
    """Upload with botocore in parts of any sizes; return the object's ETag."""
    place = {"Bucket": bucket.name, "Key": key}
    upload = {**place, "UploadId": bucket.client.create_multipart_upload(**place)["UploadId"]}
    parts = [
        {
            "PartNumber": number,
            "ETag": bucket.client.upload_part(**upload, PartNumber=number, Body=piece)["ETag"],
        }
        for number, piece in enumerate(pieces, 1)
    ]
    done = bucket.client.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts})
    return str(done["ETag"]).strip('"')


def cut(data: bytes, size: int) -> list[bytes]:
    return [data[offset : offset + size] for offset in range(0, len(data), size)]


async def verify(rig: ProxyRig, path: Path, key: str) -> FileComparison:
    with anyio.fail_after(LIMIT_SECONDS):
        return await rig.uploader.verify_file(path, key)


def verdict(found: FileComparison) -> tuple[str, str]:
    return found.result, found.verified_by


# ------------------------------------------------------------------------ what is compared


@pytest.mark.anyio
@pytest.mark.parametrize("lane", BOTH_LANES)
@pytest.mark.parametrize("size", [0, 1, 300_000, IN_PARTS])
async def test_uploaded_file_is_the_same(
    server: LocalS3Server, bucket: Bucket, tmp_path: Path, prefix: str, lane: str, size: int
) -> None:
    path = tmp_path / "f"
    path.write_bytes(os.urandom(size))
    async with behind_proxy(server, bucket, lane=lane) as rig:
        assert (await rig.upload(path, prefix)).ok
        uploaded = rig.proxy.count()
        assert verdict(await verify(rig, path, prefix)) == ("same", "etag-md5")
    # Nothing is read back, and nothing written.
    assert [record.operation for record in rig.proxy.log[uploaded:]] == ["HeadObject"]


@pytest.mark.anyio
@pytest.mark.parametrize("lane", BOTH_LANES)
async def test_one_changed_byte_is_different(
    server: LocalS3Server, bucket: Bucket, tmp_path: Path, prefix: str, lane: str, data: bytes
) -> None:
    async with behind_proxy(server, bucket, lane=lane) as rig:
        for name, pieces in (("whole", [data]), ("parts", cut(data, PART))):
            for at in (0, len(data) - 1):
                key = f"{prefix}/{name}/{at}"
                other = with_flipped_bit(data, at)
                if name == "whole":
                    put(bucket, key, other)
                else:
                    put_in_parts(bucket, key, cut(other, len(pieces[0])))
                found = await verify(rig, tmp_path / "f", key)
                assert found.result == "different"
                assert found.code == ""


@pytest.mark.anyio
async def test_another_size_is_different_without_reading(
    server: LocalS3Server, bucket: Bucket, tmp_path: Path, prefix: str, data: bytes
) -> None:
    put(bucket, f"{prefix}/shorter", data[:-1])
    put(bucket, f"{prefix}/longer", data + b"x")
    put(bucket, f"{prefix}/empty", b"")
    tmp_path.joinpath("empty").touch()
    async with behind_proxy(server, bucket) as rig:
        for name in ("shorter", "longer", "empty"):
            found = await verify(rig, tmp_path / "f", f"{prefix}/{name}")
            assert verdict(found) == ("different", "size")
        found = await verify(rig, tmp_path / "empty", f"{prefix}/shorter")
        assert verdict(found) == ("different", "size")
        assert rig.proxy.count() == rig.proxy.count("HeadObject") == 4


@pytest.mark.anyio
@pytest.mark.parametrize("lane", BOTH_LANES)
async def test_absent_object_is_missing(
    server: LocalS3Server, bucket: Bucket, tmp_path: Path, prefix: str, lane: str, data: bytes
) -> None:
    del data
    async with behind_proxy(server, bucket, lane=lane) as rig:
        found = await verify(rig, tmp_path / "f", prefix)
    assert verdict(found) == ("missing", "none")


@pytest.mark.anyio
@pytest.mark.parametrize("lane", ["wire", "boto"])
async def test_missing_bucket_is_not_reported_as_missing_objects(
    server: LocalS3Server, tmp_path: Path, lane: str, data: bytes
) -> None:
    (tmp_path / "f").write_bytes(data)
    profile = replace(server.profile(), bucket="no-such-bucket")
    config = UploadConfig(
        lane="boto" if lane == "boto" else "auto", ca_bundle=server.ca_bundle or None
    )
    async with Uploader(profile, config=config) as uploader:
        found = await uploader.verify_file(tmp_path / "f", "k")
    assert (found.result, found.code) == ("failed", "store.no_bucket")


@pytest.mark.anyio
@pytest.mark.parametrize("attempts", [1, 2])
async def test_absent_object_is_missing_even_with_few_attempts(
    server: LocalS3Server, bucket: Bucket, tmp_path: Path, prefix: str, attempts: int, data: bytes
) -> None:
    del data
    async with behind_proxy(server, bucket, max_attempts=attempts) as rig:
        found = await verify(rig, tmp_path / "f", prefix)
    assert verdict(found) == ("missing", "none")
    assert rig.proxy.count("HeadObject") == attempts


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("size", "part", "by"),
    [
        (7 * MIB + 99, 5 * MIB, "etag-md5"),  # a usual part size
        (13 * MIB, 7 * MIB, "etag-md5"),  # what the count suggests, in whole MiB
        (14 * MIB, 7 * MIB, "etag-md5"),
        (12 * MIB + 2, 6 * MIB + 1, "etag-md5"),  # equal parts
        (7 * MIB + 99, 7 * MIB, "content"),  # beyond guessing
    ],
)
async def test_object_of_another_tool_is_compared_by_etag_where_its_parts_can_be_guessed(
    server: LocalS3Server,
    bucket: Bucket,
    tmp_path: Path,
    prefix: str,
    size: int,
    part: int,
    by: str,
) -> None:
    data = os.urandom(size)
    tmp_path.joinpath("f").write_bytes(data)
    assert put_in_parts(bucket, prefix, cut(data, part)).endswith("-2")
    async with behind_proxy(server, bucket, part_size=16 * MIB) as rig:
        found = await verify(rig, tmp_path / "f", prefix)
    assert verdict(found) == ("same", by)
    assert rig.proxy.count("GetObject") == (1 if by == "content" else 0)


@pytest.mark.anyio
@pytest.mark.parametrize("lane", BOTH_LANES)
@pytest.mark.parametrize("same", [True, False])
async def test_object_with_odd_part_sizes_is_compared_by_content(
    server: LocalS3Server,
    bucket: Bucket,
    tmp_path: Path,
    prefix: str,
    lane: str,
    same: bool,  # noqa: FBT001
    data: bytes,
) -> None:
    stored = data if same else with_flipped_bit(data, len(data) - 1)
    put_in_parts(bucket, prefix, [stored[: 5 * MIB + 1], stored[5 * MIB + 1 :]])
    async with behind_proxy(server, bucket, lane=lane) as rig:
        found = await verify(rig, tmp_path / "f", prefix)
    assert verdict(found) == ("same" if same else "different", "content")
    assert rig.proxy.count("GetObject") == 1


@pytest.mark.anyio
@pytest.mark.parametrize("etag", ["opaque", "0" * 32, f"{'0' * 32}-2", f"{'0' * 32}-0", "a-b", "-"])
@pytest.mark.parametrize("same", [True, pytest.param(False, marks=pytest.mark.long)])
async def test_object_with_an_opaque_etag_is_compared_by_content(
    server: LocalS3Server,
    bucket: Bucket,
    tmp_path: Path,
    prefix: str,
    etag: str,
    same: bool,  # noqa: FBT001
    data: bytes,
) -> None:
    put(bucket, prefix, data if same else with_flipped_bit(data, 5))
    async with behind_proxy(server, bucket, Fault("HeadObject", WrongETag(etag))) as rig:
        found = await verify(rig, tmp_path / "f", prefix)
    assert verdict(found) == ("same" if same else "different", "content")


@pytest.mark.anyio
async def test_empty_file_with_an_opaque_etag_is_the_same(
    server: LocalS3Server, bucket: Bucket, tmp_path: Path, prefix: str
) -> None:
    tmp_path.joinpath("f").touch()
    put(bucket, prefix, b"")
    async with behind_proxy(server, bucket, Fault("HeadObject", WrongETag("opaque-3"))) as rig:
        found = await verify(rig, tmp_path / "f", prefix)
    assert verdict(found) == ("same", "content")


# ------------------------------------------------------------------------------- what goes wrong


@pytest.mark.anyio
@pytest.mark.parametrize("lane", BOTH_LANES)
@pytest.mark.parametrize("status", [403, 404, 500])
async def test_flapping_head_is_repeated(
    server: LocalS3Server,
    bucket: Bucket,
    tmp_path: Path,
    prefix: str,
    lane: str,
    status: int,
    data: bytes,
) -> None:
    put(bucket, prefix, data)
    fault = Fault("HeadObject", Respond(status), first=2)
    # Boto's HEAD may be made twice by aiohttp only where no response comes.
    async with behind_proxy(server, bucket, fault, lane=lane) as rig:
        found = await verify(rig, tmp_path / "f", prefix)
    assert verdict(found) == ("same", "etag-md5")
    assert rig.statuses("HeadObject") == [status, status, 200]


@pytest.mark.anyio
async def test_head_refused_each_time_is_a_failed_comparison(
    server: LocalS3Server, bucket: Bucket, tmp_path: Path, prefix: str, data: bytes
) -> None:
    put(bucket, prefix, data)
    async with behind_proxy(server, bucket, "HeadObject:403") as rig:
        found = await verify(rig, tmp_path / "f", prefix)
    assert (found.result, found.code) == ("failed", "store.access_denied")


@pytest.mark.anyio
@pytest.mark.parametrize("lane", BOTH_LANES)
@pytest.mark.parametrize("times", [1, None])
async def test_object_is_read_again_after_a_broken_response(
    server: LocalS3Server,
    bucket: Bucket,
    tmp_path: Path,
    prefix: str,
    lane: str,
    times: int | None,
    data: bytes,
) -> None:
    put(bucket, prefix, data)
    faults = [
        Fault("HeadObject", WrongETag("opaque")),
        Fault("GetObject", Reset(after=3_000_000, side="response"), first=times),
    ]
    async with behind_proxy(server, bucket, *faults, lane=lane) as rig:
        found = await verify(rig, tmp_path / "f", prefix)
    if times:
        assert verdict(found) == ("same", "content")
        assert rig.proxy.count("GetObject") == 2
    else:
        assert (found.result, found.code) == ("failed", "store.reset")


@pytest.mark.anyio
async def test_object_removed_between_head_and_get_is_not_different(
    server: LocalS3Server, bucket: Bucket, tmp_path: Path, prefix: str, data: bytes
) -> None:
    put(bucket, prefix, data)
    faults = [Fault("HeadObject", WrongETag("opaque")), Fault("GetObject", Respond(404))]
    async with behind_proxy(server, bucket, *faults) as rig:
        found = await verify(rig, tmp_path / "f", prefix)
    assert (found.result, found.code) == ("failed", "store.not_found")


@pytest.mark.anyio
@pytest.mark.parametrize("change", [-1, 1])
async def test_object_of_another_length_than_head_said_is_not_the_same(
    server: LocalS3Server, bucket: Bucket, tmp_path: Path, prefix: str, change: int, data: bytes
) -> None:
    put(bucket, prefix, data)

    def hook(record: Record) -> None:
        if record.operation == "GetObject":
            put(bucket, prefix, data[:-1] if change < 0 else data + b"x")

    async with behind_proxy(server, bucket, Fault("HeadObject", WrongETag("opaque"))) as rig:
        rig.proxy.hook = hook
        found = await verify(rig, tmp_path / "f", prefix)
    assert verdict(found) == ("different", "content")


@pytest.mark.anyio
async def test_file_that_changes_during_the_comparison_has_no_verdict(
    server: LocalS3Server, bucket: Bucket, tmp_path: Path, prefix: str, data: bytes
) -> None:
    put(bucket, prefix, data)
    async with behind_proxy(server, bucket) as rig:
        rig.proxy.hook = lambda _record: os.utime(tmp_path / "f", ns=(1, 1))
        found = await verify(rig, tmp_path / "f", prefix)
    assert (found.result, found.code) == ("failed", "source.changed")


@pytest.mark.anyio
async def test_unreadable_source_is_reported(
    server: LocalS3Server, bucket: Bucket, tmp_path: Path, prefix: str
) -> None:
    tmp_path.joinpath("dangling").symlink_to("nowhere")
    os.mkfifo(tmp_path / "pipe")
    expected = {
        "none": "source.missing",
        "dangling": "source.broken_link",
        "pipe": "source.special",
        "": "source.is_directory",
    }
    async with behind_proxy(server, bucket) as rig:
        for name, code in expected.items():
            found = await verify(rig, tmp_path / name, f"{prefix}/x")
            assert (found.result, found.code) == ("failed", code)
        assert rig.proxy.count() == 0


@pytest.mark.anyio
async def test_invalid_key_is_refused(
    server: LocalS3Server, bucket: Bucket, tmp_path: Path, data: bytes
) -> None:
    del data
    async with behind_proxy(server, bucket) as rig:
        found = await verify(rig, tmp_path / "f", "a/../b")
    assert (found.result, found.code) == ("failed", "key.dot_segment")


@pytest.mark.anyio
async def test_closed_uploader_verifies_nothing(
    server: LocalS3Server, bucket: Bucket, tmp_path: Path
) -> None:
    async with behind_proxy(server, bucket) as rig:
        pass
    with pytest.raises(UploadFailedError):
        await rig.uploader.verify_file(tmp_path / "f")


# -------------------------------------------------------------------------------- directories


@pytest.fixture
def tree(bucket: Bucket, tmp_path: Path, prefix: str) -> Iterator[Path]:
    """Three files that are the same, two different, one missing, and one that cannot be read."""
    root = tmp_path / "t"
    content = make_tree(
        root,
        {"a/same": 10, "a/empty": 0, "parts": IN_PARTS, "b/bytes": 300_000, "b/size": 9, "c": 1},
    )
    root.joinpath("dangling").symlink_to("nowhere")
    for name in ("a/same", "a/empty"):
        put(bucket, f"{prefix}/{name}", content[name])
    put_in_parts(bucket, f"{prefix}/parts", cut(content["parts"], PART))
    put(bucket, f"{prefix}/b/bytes", with_flipped_bit(content["b/bytes"], 299_999))
    put(bucket, f"{prefix}/b/size", content["b/size"][:-1])
    # Objects without a file are not looked at.
    put(bucket, f"{prefix}/further", b"x")
    yield root
    root.joinpath("dangling").unlink()


_FOUND = {
    "b/bytes": "different",
    "b/size": "different",
    "c": "missing",
    "dangling": "failed",
}


@pytest.mark.anyio
@pytest.mark.parametrize("lane", BOTH_LANES)
async def test_directory_is_compared_file_by_file(
    server: LocalS3Server, bucket: Bucket, tree: Path, prefix: str, lane: str
) -> None:
    async with behind_proxy(server, bucket, lane=lane) as rig:
        with anyio.fail_after(LIMIT_SECONDS):
            report = await rig.uploader.verify_directory(tree, prefix)
    assert {file.name: file.result for file in report.files} == _FOUND
    assert (report.same, report.different, report.missing, report.failed) == (3, 2, 1, 1)
    assert report.total == 7
    assert not report.ok
    writing = {"PutObject", "CreateMultipartUpload", "DeleteObject"}
    assert not writing & {record.operation for record in rig.proxy.log}


@pytest.mark.anyio
async def test_directory_is_compared_despite_flapping_heads(
    server: LocalS3Server, bucket: Bucket, tmp_path: Path, prefix: str
) -> None:
    content = make_tree(tmp_path / "t", {f"{number}": 100 + number for number in range(30)})
    for name, data in content.items():
        put(bucket, f"{prefix}/{name}", data)
    fault = "HeadObject:404:first=2:per=key"
    async with behind_proxy(server, bucket, fault) as rig:
        report = await rig.uploader.verify_directory(tmp_path / "t", prefix)
    assert report.ok
    assert report.same == 30


@pytest.mark.anyio
async def test_error_that_every_file_would_meet_stops_the_verification(
    server: LocalS3Server, bucket: Bucket, tmp_path: Path, prefix: str
) -> None:
    """A wrong secret, or a key that may only write: HEAD has no body to distinguish them."""
    make_tree(tmp_path / "t", {f"{number}": 100 for number in range(60)})
    async with behind_proxy(
        server, bucket, "HeadObject:403", max_requests=4, max_attempts=3
    ) as rig:
        with anyio.fail_after(LIMIT_SECONDS):
            report = await rig.uploader.verify_directory(tmp_path / "t", prefix)
    assert report.failed == 60
    assert rig.proxy.count("HeadObject") <= 4 * 3
    assert sum(file.code != "upload.stopped" for file in report.files) <= 4


@pytest.mark.anyio
async def test_verification_reports_totals_and_skipped_entries(
    server: LocalS3Server, bucket: Bucket, tmp_path: Path, prefix: str
) -> None:
    root = tmp_path / "t"
    content = make_tree(root, {"a": 10, "b/c": 20})
    root.joinpath("b", "up").symlink_to("..")
    for name, data in content.items():
        put(bucket, f"{prefix}/{name}", data)
    events: list[Event] = []
    async with behind_proxy(server, bucket) as rig:
        report = await rig.uploader.verify_directory(root, prefix, consumers=[events.append])
    assert report.ok
    (scan,) = [event for event in events if isinstance(event, ScanFinished)]
    assert (scan.files, scan.size) == (2, 30)
    assert [event.name for event in events if isinstance(event, EntrySkipped)] == ["b/up"]


@pytest.mark.anyio
async def test_invalid_prefix_is_one_error(
    server: LocalS3Server, bucket: Bucket, tmp_path: Path
) -> None:
    make_tree(tmp_path / "t", {"a": 10, "b": 20})
    async with behind_proxy(server, bucket) as rig:
        with pytest.raises(InvalidKeyError) as raised:
            await rig.uploader.verify_directory(tmp_path / "t", "p/")
    assert raised.value.code == "key.empty_segment"
    assert rig.proxy.count() == 0


@pytest.mark.anyio
async def test_missing_directory_is_an_error(
    server: LocalS3Server, bucket: Bucket, tmp_path: Path
) -> None:
    tmp_path.joinpath("file").touch()
    async with behind_proxy(server, bucket) as rig:
        for name in ("none", "file"):
            with pytest.raises(SourceError):
                await rig.uploader.verify_directory(tmp_path / name)
        tmp_path.joinpath("empty").mkdir()
        report = await rig.uploader.verify_directory(tmp_path / "empty")
    assert report.ok
    assert report.total == 0


def test_sync_functions_return_the_same(
    configured: LocalS3Server,
    bucket: Bucket,
    tree: Path,
    prefix: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    del configured
    monkeypatch.setenv("S3_UPLOADER_LANG", "en")
    monkeypatch.setenv("S3_UPLOADER_BACKOFF_BASE", "0.01")
    counts = verify_directory(tree, prefix, models_subdir="")
    assert counts == {"total": 7, "same": 3, "different": 2, "missing": 1, "failed": 1}
    out = capsys.readouterr().out
    for name in _FOUND:
        assert name in out
    assert verify_file(tree / "parts", f"{prefix}/parts", models_subdir="", verbose=False) is True
    assert verify_file(tree / "c", f"{prefix}/c", models_subdir="", verbose=False) is False
    assert verify_file(tree / "b/bytes", f"{prefix}/b/bytes", models_subdir="") is False
    assert "differs from the local file" in capsys.readouterr().out
    assert verify_file(tree / "a/same", f"{prefix}/b/size", models_subdir="") is False
    # The documented default prefix.
    put(bucket, "workspace/models/verified-here", tree.joinpath("c").read_bytes())
    assert verify_file(tree / "c", "verified-here", verbose=False) is True
    put(bucket, f"{prefix}/up/t/c", tree.joinpath("c").read_bytes())
    counts = verify_directory(tree, f"{prefix}/up", models_subdir="", include_parent_dir=True)
    assert counts["same"] == 1


def test_sync_functions_without_a_profile_compare_nothing(tmp_path: Path) -> None:
    make_tree(tmp_path / "t", {"a": 1, "b": 2})
    assert verify_file(tmp_path / "t" / "a", verbose=False) is False
    counts = verify_directory(tmp_path / "t", verbose=False)
    assert counts == {"total": 2, "same": 0, "different": 0, "missing": 0, "failed": 2}


def test_composite_etag_of_the_server_is_as_the_tests_assume(bucket: Bucket, prefix: str) -> None:
    pieces = [os.urandom(5 * MIB), b"tail"]
    digests = b"".join(hashlib.md5(piece, usedforsecurity=False).digest() for piece in pieces)
    whole = hashlib.md5(digests, usedforsecurity=False).hexdigest()
    assert put_in_parts(bucket, prefix, pieces) == f"{whole}-2"
