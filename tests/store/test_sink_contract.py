"""The contract of ObjectStore at the null sink of the benchmarks, which keeps no bytes.

Where the suite reads an object back, the sink refuses, and HEAD stands in for the bytes: their
size, and the ETag that Amazon S3 makes of the MD5 of the whole or of the parts.
"""

import hashlib
import http.client
import socket
from base64 import b64encode
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from benchmarks.build import find_compiler
from benchmarks.sink import Line, Sink

import test_store_contract as contract
from every_make import without_servers
from lanes import Server, open_lane
from rclone_server import RcloneServer
from s3_uploader import StoreError
from s3_uploader.checksums import composite_etag
from s3_uploader.errors import ServerError
from s3_uploader.sizes import MIB
from s3_uploader.store import BytesBody, CompletedPart, ObjectStore, PutOptions

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(find_compiler() is None, reason="the null sink needs a C compiler (cc)"),
]

NOT_HERE = {
    "test_missing_bucket_is_fatal_and_named": "every bucket exists",
    "test_wrong_credentials_are_fatal_and_distinguished": "it checks no signature",
    "test_untrusted_certificate_is_fatal_and_names_the_way_out": "it has no TLS",
    "test_range_of_an_object_is_read": "it keeps no bytes",
    "test_range_outside_the_object_is_an_error": "it keeps no bytes",
    "test_reader_may_stop_early": "it keeps no bytes",
    "test_another_version_is_not_read": "it keeps no bytes",
    "test_copy_is_the_object_at_another_key": "it copies nothing",
    "test_copy_of_another_version_is_refused": "it copies nothing",
    "test_copy_of_a_missing_object_names_the_source": "it copies nothing",
    "test_objects_are_listed_as_they_are": "it lists no objects",
    "test_listing_starts_after_a_key": "it lists no objects",
    "test_delimiter_rolls_keys_up": "it lists no objects",
}
"""What the suite asks for and the sink leaves out, each with its reason."""

_PART = 5 * MIB
"""The size of a part where the suite sends more than one."""


@pytest.fixture(scope="module")
def sink() -> Iterator[Sink]:
    with Sink("md5") as running:
        yield running


@pytest.fixture(params=("wire-sink", "boto-sink"))
def lane(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def lane_server(sink: Sink) -> Server:
    return _server(sink)


def _server(sink: Sink) -> Server:
    return RcloneServer(sink.url, "test-volume", "user_sink", "rps_sink")


class Described(bytes):
    """Stands for the bytes of an object: equal to those that have the size and the ETag of HEAD."""

    size: int | None
    etag: str

    def __eq__(self, data: object) -> bool:
        assert isinstance(data, bytes)
        starts = range(0, max(len(data), 1), _PART)
        parts = [_md5(data[start : start + _PART]) for start in starts]
        return self.size == len(data) and self.etag in {_md5(data), composite_etag(parts)}

    def __hash__(self) -> int:
        raise TypeError("unhashable")

    def __repr__(self) -> str:
        return f"{self.size} bytes with the ETag {self.etag}"


def _md5(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


async def _read(store: ObjectStore, key: str) -> bytes:
    """Do as the suite's own, but for an object that is there."""
    with pytest.raises(StoreError) as caught:
        assert [block async for block in store.get_object(key)]
    if caught.value.status == 404:
        raise caught.value
    assert (caught.value.status, caught.value.retryable) == (501, False)
    info = await store.head_object(key)
    described = Described()
    described.size, described.etag = info.size, info.etag
    return described


globals().update(
    {
        name: without_servers(test, _read=_read)
        for name, test in vars(contract).items()
        if name.startswith("test_") and name not in NOT_HERE
    }
)


def test_tests_left_out_are_in_the_suite() -> None:
    assert set(NOT_HERE) <= set(vars(contract))


# ------------------------------------------------------------------------------- the sink's own


async def _put(store: ObjectStore, key: str, metadata: dict[str, str]) -> None:
    await store.put_object(key, BytesBody(b"x"), PutOptions(metadata=metadata))


async def _put_in_parts(store: ObjectStore, key: str, metadata: dict[str, str]) -> None:
    upload_id = await store.create_multipart_upload(key, PutOptions(metadata=metadata))
    part = await store.upload_part(key, upload_id, 1, BytesBody(b"y"))
    await store.complete_multipart_upload(key, upload_id, [CompletedPart(1, part.etag)])


async def test_object_has_the_time_of_its_last_change(store: ObjectStore, prefix: str) -> None:
    await _put(store, f"{prefix}/k", {})
    age = (await store.head_object(f"{prefix}/k")).age
    assert age is not None
    assert 0 <= age < 120


async def test_object_has_nothing_of_the_one_it_replaces(store: ObjectStore, prefix: str) -> None:
    key = f"{prefix}/k"
    for put in (_put, _put_in_parts, _put_in_parts, _put, _put):
        for metadata in ({"a": "1", "b": "2"}, {}, {"b": "3"}):
            await put(store, key, metadata)
            assert (await store.head_object(key)).metadata == metadata


async def test_complete_that_does_not_fit_the_parts_is_refused(
    store: ObjectStore, prefix: str
) -> None:
    key = f"{prefix}/k"
    upload_id = await store.create_multipart_upload(key, PutOptions())
    parts = []
    for number in (1, 2):
        receipt = await store.upload_part(key, upload_id, number, BytesBody(b"%d" % number))
        parts.append(CompletedPart(number, receipt.etag))
    first, second = parts
    for named, wrong, code in (
        (key, [second, first], "InvalidPartOrder"),
        (key, [first, first], "InvalidPartOrder"),
        (key, [first, CompletedPart(2, first.etag)], "InvalidPart"),
        (f"{prefix}/other", parts, "NoSuchUpload"),
    ):
        with pytest.raises(StoreError) as caught:
            await store.complete_multipart_upload(named, upload_id, wrong)
        assert caught.value.s3_code == code
    await store.complete_multipart_upload(key, upload_id, parts)


async def test_more_metadata_than_s3_takes_is_refused(store: ObjectStore, prefix: str) -> None:
    too_much = {f"name-{number}": "v" * 500 for number in range(10)}
    for put in (_put, _put_in_parts):
        with pytest.raises(StoreError) as caught:
            await put(store, f"{prefix}/k", too_much)
        assert (caught.value.status, caught.value.s3_code) == (400, "MetadataTooLarge")


async def test_opaque_etag_stands_for_one_object_and_is_no_md5(prefix: str) -> None:
    """And no library is needed for it."""
    with Sink("opaque", libcrypto="/dev/null") as sink:
        async with open_lane("wire-sink", _server(sink)) as store:
            for put in (_put, _put_in_parts):
                await put(store, f"{prefix}/1", {})
                await put(store, f"{prefix}/2", {})
                first, second = [await store.head_object(f"{prefix}/{name}") for name in "12"]
                assert first.etag.startswith("opaque-")
                assert first.etag != second.etag


def test_md5_without_libcrypto_is_one_clear_error() -> None:
    with pytest.raises(ServerError) as caught, Sink("md5", libcrypto="/dev/null"):
        pass
    assert "--etag md5 needs the MD5 of libcrypto" in str(caught.value)
    assert "--etag opaque" in str(caught.value)


def test_bytes_are_counted_until_the_reset() -> None:
    with Sink() as sink:
        for path, body, content_md5, status in (
            ("/b/1", b"four", "", 200),
            ("/b/1", b"seven77", "", 200),
            ("/b/2", b"", "1B2M2Y8AsgTpgAmY7PhCfg==", 200),
            ("/b/3", b"x", "1B2M2Y8AsgTpgAmY7PhCfg==", 400),
        ):
            assert _send(sink, "PUT", path, body, {"Content-MD5": content_md5}) == status
        stats = sink.stats()
        assert (stats.objects, stats.object_bytes) == (2, 7)
        assert (stats.commits, stats.committed_bytes, stats.body_bytes) == (3, 11, 11)
        assert (stats.requests, stats.errors, stats.operations["PutObject"]) == (4, 1, 4)
        sink.reset()
        stats = sink.stats()
        assert (stats.objects, stats.object_bytes, stats.requests, stats.errors) == (0, 0, 0, 0)
        assert [_send(sink, method, "/b/1") for method in ("HEAD", "GET")] == [404, 404]


@pytest.mark.parametrize("trailer", [b"", b"x-amz-checksum-crc32:AAAAAA==\r\n"])
def test_framed_body_is_an_object_of_its_decoded_bytes(sink: Sink, trailer: bytes) -> None:
    data = b"four" + b"0\n2\r4\n6789" * 2
    framed = b"4;chunk-signature=00\r\nfour\r\n14\r\n%b\r\n0\r\n%b\r\n" % (data[4:], trailer)
    headers = {
        "Content-MD5": b64encode(hashlib.md5(data, usedforsecurity=False).digest()).decode(),
        "x-amz-content-sha256": "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
        "x-amz-decoded-content-length": str(len(data)),
    }
    assert _send(sink, "PUT", "/b/framed", framed, headers) == 200
    headers["x-amz-decoded-content-length"] = str(len(data) + 1)
    assert _send(sink, "PUT", "/b/framed", framed, headers) == 400


def test_next_request_begins_after_the_trailers_of_a_chunked_body(sink: Sink) -> None:
    address = urlsplit(sink.url)
    with socket.create_connection((address.hostname, address.port), timeout=30) as line:
        line.sendall(
            b"PUT /b/chunked HTTP/1.1\r\nHost: s\r\nTransfer-Encoding: chunked\r\n"
            b"X-Amz-Meta-Name: Value\r\n\r\n"
            b"1\r\nx\r\n0\r\nname: value\r\n\r\n"
            b"HEAD /b/chunked HTTP/1.1\r\nHost: s\r\nConnection: close\r\n\r\n"
        )
        with line.makefile("rb") as responses:
            text = responses.read()
    assert text.count(b"HTTP/1.1 200 OK\r\n") == 2
    assert b"\r\nx-amz-meta-name: Value\r\n" in text
    assert text.endswith(b"Content-Length: 1\r\n\r\n")


def test_slow_line_still_carries_every_byte() -> None:
    with Sink("md5", Line(rtt_ms=1, per_connection_mbps=50, total_mbps=50)) as sink:
        assert _send(sink, "PUT", "/b/k", bytes(1_000_000)) == 200
        assert sink.stats().object_bytes == 1_000_000


def _send(
    sink: Sink, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None
) -> int:
    """Make a request and return the status."""
    given = {name: value for name, value in (headers or {}).items() if value}
    connection = http.client.HTTPConnection(urlsplit(sink.url).netloc, timeout=30)
    try:
        connection.request(method, path, body, given)
        return connection.getresponse().status
    finally:
        connection.close()
