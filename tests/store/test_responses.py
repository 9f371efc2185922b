"""A response is a success only with what S3 promises in it, in both lanes; and it has an end."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import pytest

from s3_uploader import StoreError, Uploader
from s3_uploader.checksums import Digests
from s3_uploader.sizes import MIB
from s3_uploader.source import FileRange, open_source
from s3_uploader.store import BytesBody, CompletedPart, ListedPage, ObjectStore, PutOptions
from scripted_server import (
    QUICK,
    Handler,
    ReceivedRequest,
    ScriptedServer,
    always_respond,
    open_lane_to,
    response,
    scripted_server,
)
from trees import make_tree

pytestmark = pytest.mark.anyio

BOTH = ["wire", "boto"]

_NS = 'xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'
_HTML = b"<html><body>Please sign in.</body></html>"
_ERROR = f"<Error {_NS}><Code>InternalError</Code><Message>no</Message></Error>".encode()
_PREFIXED_ERROR = b"<s3:Error xmlns:s3='u'><s3:Code>InternalError</s3:Code></s3:Error>"

Call = Callable[[ObjectStore], Awaitable[Any]]


async def _all_pages(store: ObjectStore) -> list[ListedPage]:
    return [page async for page in store.list_objects("k")]


CALLS: dict[str, Call] = {
    "PutObject": lambda store: store.put_object("k", BytesBody(b"x"), PutOptions("a/b")),
    "UploadPart": lambda store: store.upload_part("k", "id", 1, BytesBody(b"x")),
    "CreateMultipartUpload": lambda store: store.create_multipart_upload("k", PutOptions("a/b")),
    "CompleteMultipartUpload": lambda store: store.complete_multipart_upload(
        "k", "id", [CompletedPart(1, "00")]
    ),
    "AbortMultipartUpload": lambda store: store.abort_multipart_upload("k", "id"),
    "ListParts": lambda store: store.list_parts("k", "id"),
    "ListMultipartUploads": lambda store: store.list_multipart_uploads("k"),
    "HeadObject": lambda store: store.head_object("k"),
    "DeleteObject": lambda store: store.delete_object("k"),
    "CopyObject": lambda store: store.copy_object("s", "k"),
    "ListObjectsV2": _all_pages,
}

_FALSE = {
    "empty": response(etag=""),
    "html": response(_HTML, etag=""),
    "html-with-an-etag": response(_HTML, etag='"00"'),
    "error": response(_ERROR),
    "prefixed-error": response(_PREFIXED_ERROR),
    "truncated": response(b"<CompleteMultipartUploadResult><ETag>00</ET", etag=""),
    "garbage-etag": response(etag='"a" "b"'),
    "empty-etag": response(etag='""'),
    "two-etags": response(etag='"00"\r\nETag: "11"'),
    "declared-entities": response(b"<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>", etag=""),
}
_MAY_PASS = {
    # Nothing in these contradicts: the body of such a response is not S3's to define.
    ("html-with-an-etag", operation)
    for operation in ("PutObject", "UploadPart", "HeadObject")
}
_BODILESS = {"error", "prefixed-error", "html-with-an-etag"}
"""What a HEAD does not show."""


def _cases() -> Iterator[object]:
    for name, data in _FALSE.items():
        for operation in CALLS:
            in_header = operation in {"PutObject", "UploadPart", "HeadObject"}
            etag_only = name in {"garbage-etag", "empty-etag", "two-etags"}
            if (name, operation) in _MAY_PASS or (etag_only and not in_header):
                continue
            if operation == "HeadObject" and name in _BODILESS:
                continue
            yield pytest.param(operation, data, id=f"{operation}-{name}")


@pytest.mark.parametrize("lane", BOTH)
@pytest.mark.parametrize(("operation", "data"), list(_cases()))
async def test_200_without_what_s3_promises_is_no_success(
    lane: str, operation: str, data: bytes
) -> None:
    if operation == "HeadObject":
        data = data[: data.index(b"\r\n\r\n") + 4]
    async with (
        scripted_server(always_respond(data)) as server,
        open_lane_to(server, lane) as store,
    ):
        with pytest.raises(StoreError) as caught:
            await CALLS[operation](store)
    assert caught.value.retryable
    assert caught.value.code in {"store.bad_response", "store.busy"}
    assert [request.operation for request in server.requests] == [operation]


@pytest.mark.parametrize("lane", BOTH)
async def test_documents_are_read_whatever_their_namespace(lane: str) -> None:
    documents = {
        "CreateMultipartUpload": (
            "<ns2:InitiateMultipartUploadResult xmlns:ns2='u'><ns2:UploadId>a&amp;b</ns2:UploadId>"
            "</ns2:InitiateMultipartUploadResult>"
        ),
        "CompleteMultipartUpload": (
            f"\n  <CompleteMultipartUploadResult {_NS}><ETag>&quot;aa-1&quot;</ETag>"
            "</CompleteMultipartUploadResult>"
        ),
        "ListParts": (
            "<a:ListPartsResult xmlns:a='u'><a:Part><a:PartNumber> 3 </a:PartNumber>"
            '<a:ETag>"bb"</a:ETag><a:Size>7</a:Size></a:Part></a:ListPartsResult>'
        ),
    }

    async def handle(request: ReceivedRequest, writer: asyncio.StreamWriter) -> None:
        writer.write(response(documents[request.operation].encode(), etag=""))

    async with scripted_server(handle) as server, open_lane_to(server, lane) as store:
        assert await CALLS["CreateMultipartUpload"](store) == "a&b"
        assert (await CALLS["CompleteMultipartUpload"](store)).etag == "aa-1"
        (part,) = await CALLS["ListParts"](store)
    assert (part.number, part.etag, part.size) == (3, "bb", 7)


@pytest.mark.parametrize("lane", BOTH)
async def test_fields_missing_from_head_are_unknown(lane: str) -> None:
    silent = b'HTTP/1.1 200 OK\r\nETag: W/"00"\r\nConnection: close\r\n\r\n'
    async with (
        scripted_server(always_respond(silent)) as server,
        open_lane_to(server, lane) as store,
    ):
        info = await store.head_object("k")
    assert (info.size, info.etag, info.age) == (None, "00", None)


_AN_UPLOAD = "<Upload><Key>k</Key><UploadId>i</UploadId><Initiated>{}</Initiated></Upload>"
_A_PART = "<Part><PartNumber>{}</PartNumber><ETag>e</ETag><Size>{}</Size></Part>"


@pytest.mark.parametrize("lane", BOTH)
@pytest.mark.parametrize("initiated", ["", "yesterday", "2026-13-45T99:99:99Z", "0001-01-01"])
async def test_invalid_date_is_unknown(lane: str, initiated: str) -> None:
    body = (
        f"<ListMultipartUploadsResult>{_AN_UPLOAD.format(initiated)}</ListMultipartUploadsResult>"
    )
    handle = always_respond(response(body.encode()))
    async with scripted_server(handle) as server, open_lane_to(server, lane) as store:
        (upload,) = await store.list_multipart_uploads("k")
    assert upload.initiated == 0.0 or initiated == "0001-01-01"


@pytest.mark.parametrize("lane", BOTH)
@pytest.mark.parametrize("number", ["", "-1", "1e3", "0x1", "9" * 5000, "\u0663"])
@pytest.mark.parametrize("field", [0, 1])
async def test_invalid_number_is_an_error(lane: str, number: str, field: int) -> None:
    values = ["1", "1"]
    values[field] = number
    body = f"<ListPartsResult>{_A_PART.format(*values)}</ListPartsResult>"
    handle = always_respond(response(body.encode()))
    async with scripted_server(handle) as server, open_lane_to(server, lane) as store:
        with pytest.raises(StoreError) as caught:
            await store.list_parts("k", "id")
    assert caught.value.code == "store.bad_response"


# --------------------------------------------------------------------------- listings without end


def _endless(markers: Iterator[str]) -> Handler:
    async def handle(request: ReceivedRequest, writer: asyncio.StreamWriter) -> None:
        marker = next(markers)
        uploads = (
            f"<ListMultipartUploadsResult><IsTruncated>true</IsTruncated>{_AN_UPLOAD.format('')}"
            f"<NextKeyMarker>{marker}</NextKeyMarker></ListMultipartUploadsResult>"
        )
        parts = (
            f"<ListPartsResult><IsTruncated>true</IsTruncated>{_A_PART.format(1, 1)}"
            f"<NextPartNumberMarker>{marker}</NextPartNumberMarker></ListPartsResult>"
        )
        writer.write(response((uploads if "uploads" in request.target else parts).encode()))

    return handle


def _ring() -> Iterator[str]:
    while True:
        yield from ("1", "2", "3")


@pytest.mark.parametrize("lane", BOTH)
@pytest.mark.parametrize("operation", ["ListParts", "ListMultipartUploads"])
@pytest.mark.parametrize("markers", ["ring", "fresh"])
async def test_endless_listing_is_an_error(lane: str, operation: str, markers: str) -> None:
    handle = _endless(_ring() if markers == "ring" else map(str, range(1, 10**9)))
    async with scripted_server(handle) as server, open_lane_to(server, lane) as store:
        with pytest.raises(StoreError) as caught:
            with anyio.fail_after(60):
                await CALLS[operation](store)
    assert caught.value.code == "store.bad_listing"
    assert len(server.requests) <= 1_001


# ---------------------------------------------------------------------------- one deadline, a bound


def _dripping(head: bytes) -> Handler:
    async def handle(_request: ReceivedRequest, writer: asyncio.StreamWriter) -> None:
        writer.write(head)
        while True:
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.02)

    return handle


_DRIPS = {
    "status": b"HTTP/1.1 200 O",
    "header": b"HTTP/1.1 200 OK\r\nX-Long: ",
    "body": b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n",
    "error-body": b"HTTP/1.1 500 No\r\nContent-Length: 1000000\r\n\r\n",
}


@pytest.mark.parametrize("lane", BOTH)
@pytest.mark.parametrize("drip", list(_DRIPS))
@pytest.mark.parametrize("body", ["small", "large"])
async def test_dripping_response_is_given_up(
    lane: str, drip: str, body: str, tmp_path: Path
) -> None:
    """Each byte would restart a timeout between two reads."""
    path = tmp_path / "f"
    path.write_bytes(b"x" * 1000)
    large = FileRange(str(path), open_source(str(path)), size=1000, digests=Digests())
    chosen = BytesBody(b"x") if body == "small" else large
    async with (
        scripted_server(_dripping(_DRIPS[drip])) as server,
        open_lane_to(server, lane, replace(QUICK, response_timeout=0.3)) as store,
    ):
        with pytest.raises(StoreError) as caught:
            with anyio.fail_after(20):
                await store.upload_part("k", "id", 1, chosen)
    assert (caught.value.code, caught.value.retryable) == ("store.timeout", True)


def _pouring(head: bytes, piece: bytes) -> Handler:
    """Send `piece` as long as somebody reads, to 400 MB at most."""

    async def handle(_request: ReceivedRequest, writer: asyncio.StreamWriter) -> None:
        writer.write(head)
        for _ in range(400_000_000 // len(piece)):
            writer.write(piece)
            await writer.drain()
        raise AssertionError("all of it was read")

    return handle


_CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
_FLOODS = {
    "body": (b"HTTP/1.1 500 No\r\nContent-Length: 400000000\r\n\r\n", b"x" * 65_536),
    "chunks": (_CHUNKED, b"10000\r\n%b\r\n" % (b"x" * 65_536)),
    "trailers": (_CHUNKED + b"0\r\n", b"X-Trailer: %b\r\n" % (b"y" * 4_000)),
    "headers": (b"HTTP/1.1 200 OK\r\n", b"X-Header: %b\r\n" % (b"y" * 4_000)),
}


@pytest.mark.parametrize("lane", BOTH)
@pytest.mark.parametrize("flood", list(_FLOODS))
async def test_endless_response_is_not_held(lane: str, flood: str) -> None:
    async with (
        scripted_server(_pouring(*_FLOODS[flood])) as server,
        open_lane_to(server, lane) as store,
    ):
        with pytest.raises(StoreError) as caught:
            with anyio.fail_after(30):
                await CALLS["CompleteMultipartUpload"](store)
    assert caught.value.retryable


async def _read_all(store: ObjectStore) -> None:
    with anyio.fail_after(20):
        async for _ in store.get_object("k"):
            pass


@pytest.mark.parametrize("lane", BOTH)
async def test_dripping_object_is_given_up(lane: str) -> None:
    head = b'HTTP/1.1 200 OK\r\nETag: "00"\r\nContent-Length: 1000000\r\n\r\n'
    async with scripted_server(_dripping(head)) as server, open_lane_to(server, lane) as store:
        with pytest.raises(StoreError) as caught:
            await _read_all(store)
    assert caught.value.code == "store.timeout"


# ------------------------------------------------------------------------ whose signature is wrong


def _refusing_odd(request: ReceivedRequest) -> bytes:
    if "odd" in request.target:
        body = b"<Error><Code>SignatureDoesNotMatch</Code><Message>m</Message></Error>"
        return response(body, "403 Forbidden", etag="")
    return response()


async def _signature_error(server: ScriptedServer, lane: str, *, first: bool) -> StoreError:
    async with open_lane_to(server, lane, QUICK) as store:
        if first:
            await CALLS["PutObject"](store)
        with pytest.raises(StoreError) as caught:
            await store.put_object("odd", BytesBody(b"x"), PutOptions("a/b"))
    return caught.value


@pytest.mark.parametrize("lane", BOTH)
async def test_signature_refused_after_a_success_fails_that_key_alone(lane: str) -> None:
    async def handle(request: ReceivedRequest, writer: asyncio.StreamWriter) -> None:
        writer.write(_refusing_odd(request))

    async with scripted_server(handle) as server:
        at_first = await _signature_error(server, lane, first=False)
        later = await _signature_error(server, lane, first=True)
    assert (at_first.code, at_first.fatal) == ("store.signature", True)
    assert (later.code, later.fatal) == ("store.signature_of_key", False)
    assert "odd" in str(later)


@pytest.mark.parametrize("lane", BOTH)
@pytest.mark.parametrize("code", ["NoSuchKey", "NoSuchBucket", ""])
async def test_delete_of_a_missing_object_is_no_error_if_the_store_says_so(
    lane: str, code: str
) -> None:
    """Google's store responds with 404; a web server does that to anything."""
    document = f"<Error><Code>{code}</Code></Error>" if code else ""
    gone = response(document.encode(), "404 Not Found", etag="")
    async with scripted_server(always_respond(gone)) as server, open_lane_to(server, lane) as store:
        if code == "NoSuchKey":
            await store.delete_object("k")
        else:
            with pytest.raises(StoreError):
                await store.delete_object("k")


@pytest.mark.parametrize("lane", BOTH)
@pytest.mark.parametrize("known", [False, True])
async def test_abort_with_another_success_status_is_checked(lane: str, *, known: bool) -> None:
    """S3 says 204; a 200 may be a proxy's, or of a store that does as it says."""
    parts = response(b"<ListPartsResult/>", etag="")
    gone = response(b"<Error><Code>NoSuchUpload</Code></Error>", "404 Not Found", etag="")

    async def handle(request: ReceivedRequest, writer: asyncio.StreamWriter) -> None:
        listing = parts if known else gone
        writer.write(listing if request.operation == "ListParts" else response(etag=""))

    async with scripted_server(handle) as server:
        config = replace(QUICK, lane="boto" if lane == "boto" else "auto")
        async with Uploader(server.profile(), config=config) as uploader:
            assert await uploader.abort_upload("k", "id", force=True) is not known
    assert {request.operation for request in server.requests} == {
        "AbortMultipartUpload",
        "ListParts",
    }


@pytest.mark.parametrize("lane", BOTH)
@pytest.mark.parametrize("size", [10, 300_000, 6 * MIB])
async def test_server_that_is_no_store_is_given_up_soon(
    lane: str, size: int, tmp_path: Path
) -> None:
    """A web server that responds to everything with a page: not asked for each of many files."""
    make_tree(tmp_path / "t", {f"{number}": size for number in range(40 if size < MIB else 10)})
    config = replace(
        QUICK,
        lane="boto" if lane == "boto" else "auto",
        max_attempts=10,
        max_requests=4,
        part_size=5 * MIB,
        multipart_threshold=5 * MIB,
        integrity="auto",
    )

    async def page(request: ReceivedRequest, writer: asyncio.StreamWriter) -> None:
        writer.write(response(b"" if request.method == "HEAD" else _HTML, etag=""))

    async with (
        scripted_server(page) as server,
        Uploader(server.profile(), config=config) as uploader,
    ):
        with anyio.fail_after(60):
            report = await uploader.upload_directory(tmp_path / "t", "p")
    assert report.success == 0
    stopped = sum(outcome.error == "upload.stopped" for outcome in report.files)
    assert stopped >= len(report.files) - 4
