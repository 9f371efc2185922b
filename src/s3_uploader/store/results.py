"""Read what S3 promises of an operation from its response: a value, or a StoreError.

A 200 is not yet a success: proxies, captive portals and stores in trouble send them too. A
response without what S3 promises in it says nothing of what was done, so it is retried, and the
outcome is then found out. What a response does not say is unknown, not zero and not empty.
Shared by every lane; without I/O.
"""

import html
import re
from datetime import UTC, datetime
from urllib.parse import unquote_plus

from s3_uploader.checksums import ALGORITHMS, Checksum
from s3_uploader.errors import StoreError
from s3_uploader.store.document import Element
from s3_uploader.store.errors import Request, error_from_response, http_time
from s3_uploader.store.pages import ObjectsPage, Page, PartsPage, UploadsPage
from s3_uploader.store.response import Response
from s3_uploader.store.values import (
    ListedObject,
    ListedPage,
    ObjectInfo,
    Receipt,
    StoredPart,
    UploadInfo,
)

SUCCESS = range(200, 300)
_ERRORS = range(400, 600)
_NO_CONTENT = 204
_INTERNAL_ERROR = 500
_MAX_DIGITS = 19
"""Sizes and part numbers have no more."""

_META = b"x-amz-meta-"
_CHECKSUM_HEADERS = [(name, one.header.encode()) for name, one in ALGORITHMS.items()]
_ETAG = re.compile(r"[!#-+\--~]+")
"""Printable ASCII without quotes, commas and spaces."""


def bad_response(request: Request, response: Response | None, detail: str) -> StoreError:
    """Return the error for a response that is not what S3 promises; `detail` says what is wrong.

    None is one that could not be read. Before any success it is what every request would meet:
    a web server, or a portal that wants a log-in.
    """
    return StoreError(
        "store.bad_response",
        status=response.status if response else None,
        retryable=True,
        fatal=not request.trusted,
        operation=request.operation,
        key=request.key,
        endpoint=request.endpoint,
        detail=detail,
    )


def error_of(request: Request, response: Response) -> StoreError | None:
    """Return the error a response stands for, None if it claims success.

    S3 may begin a 200 and end it with an error: then the document's root is Error.
    """
    succeeded = response.status in SUCCESS
    if succeeded and not response.body:
        return None
    if not succeeded and response.status not in _ERRORS:
        return bad_response(request, response, "a status that S3 does not send")
    root = response.document()
    if succeeded and (root is None or root.name != "Error"):
        return None
    code, message = _code_and_message(response, root)
    status = _INTERNAL_ERROR if succeeded else response.status
    retry_after = response.header(b"retry-after")
    return error_from_response(request, status, code, message, retry_after)


def error_code(response: Response) -> str:
    """Return the code that a response's error document names, "" for none."""
    return _code_and_message(response, response.document())[0]


def receipt(request: Request, response: Response) -> Receipt:
    """Read the response to PutObject or UploadPart.

    Raises:
        StoreError: "store.bad_response": there is no ETag.
    """
    etag = _etag(request, response, response.header(b"etag"))
    checksums: tuple[Checksum, ...] = ()
    for name, header in _CHECKSUM_HEADERS:
        if header in response.headers:
            checksums += (Checksum(name, response.header(header)),)
    return Receipt(etag, _is_opaque(response), checksums)


def upload_id(request: Request, response: Response) -> str:
    """Read the response to CreateMultipartUpload; raises as `receipt`."""
    root = _root(request, response, "InitiateMultipartUpload")
    return _required(request, response, root, "UploadId")


def completed(request: Request, response: Response) -> Receipt:
    """Read the response to CompleteMultipartUpload; raises as `receipt`.

    Ceph 16 leaves the ETag empty: then it is unknown, and "" here.
    """
    root = _root(request, response, "CompleteMultipartUpload")
    text = _required(request, response, root, "ETag", empty=True)
    etag = _etag(request, response, text) if text.strip() else ""
    return Receipt(etag, _is_opaque(response), _checksums(root))


def copied(request: Request, response: Response) -> Receipt:
    """Read the response to CopyObject; raises as `receipt`."""
    root = _root(request, response, "CopyObject")
    etag = _etag(request, response, _required(request, response, root, "ETag"))
    return Receipt(etag, _is_opaque(response), _checksums(root))


def removed(request: Request, response: Response) -> None:
    """Read the response to AbortMultipartUpload or DeleteObject: S3 says 204 No Content.

    Raises:
        StoreError: "store.bad_response": it is another.
    """
    if response.status != _NO_CONTENT:
        raise bad_response(request, response, f"{response.status} instead of 204")


def object_info(request: Request, response: Response) -> ObjectInfo:
    """Read the response to HeadObject; raises as `receipt`. A size that is not said is None."""
    length = response.header(b"content-length")
    size = _number(request, response, "Content-Length", length) if length else None
    metadata = {
        name[len(_META) :].decode("latin-1"): value.decode("latin-1")
        for name, value in response.headers.items()
        if name.startswith(_META)
    }
    return ObjectInfo(
        request.key,
        size,
        _etag(request, response, response.header(b"etag")),
        metadata,
        opaque=_is_opaque(response),
        age=_age(response),
    )


def parts_page(request: Request, response: Response) -> PartsPage:
    """Read a page of ListParts; raises as `receipt`."""
    root = _root(request, response, "ListParts")

    def number(part: Element, name: str) -> int:
        return _number(request, response, name, part.value(name) or "")

    parts = [
        StoredPart(
            number(part, "PartNumber"),
            _etag(request, response, part.value("ETag") or ""),
            number(part, "Size"),
        )
        for part in root.all("Part")
    ]
    if not _truncated(request, response, root):
        return Page(parts, None)
    return Page(parts, number(root, "NextPartNumberMarker"))


def uploads_page(request: Request, response: Response) -> UploadsPage:
    """Read a page of ListMultipartUploads; raises as `receipt`."""
    root = _root(request, response, "ListMultipartUploads")
    uploads = [
        UploadInfo(
            _required(request, response, upload, "Key"),
            _required(request, response, upload, "UploadId"),
            _time(upload.value("Initiated") or ""),
        )
        for upload in root.all("Upload")
    ]
    if not _truncated(request, response, root):
        return Page(uploads, None)
    key = _required(request, response, root, "NextKeyMarker")
    return Page(uploads, (key, root.value("NextUploadIdMarker") or ""))


def objects_page(request: Request, response: Response, *, prefix: str) -> ObjectsPage:
    """Read a page of ListObjectsV2; raises as `receipt`, also for a key without the prefix."""
    root = _root(request, response, "ListBucket")
    # Keys are asked for in URL encoding, in which a space is a plus sign: XML cannot hold every
    # character that a key can. Some stores send them as they are, and no EncodingType then.
    encoded = root.value("EncodingType") == "url"

    def key(parent: Element, name: str) -> str:
        text = _required(request, response, parent, name)
        try:
            found = unquote_plus(text, errors="strict") if encoded else text
        except UnicodeDecodeError:
            raise bad_response(request, response, f"a {name} that is not UTF-8") from None
        if not found.startswith(prefix):
            raise bad_response(request, response, f"a {name} of another prefix")
        return found

    objects = [
        ListedObject(
            key(found, "Key"),
            _number(request, response, "Size", found.value("Size") or ""),
            _etag(request, response, etag) if (etag := found.value("ETag") or "").strip() else "",
            _time(found.value("LastModified") or ""),
        )
        for found in root.all("Contents")
    ]
    page = ListedPage(objects, [key(found, "Prefix") for found in root.all("CommonPrefixes")])
    if not _truncated(request, response, root):
        return page, None
    return page, _required(request, response, root, "NextContinuationToken")


# ------------------------------------------------------------------------------------- pieces


def _checksums(root: Element) -> tuple[Checksum, ...]:
    named = [(name, root.value(one.field)) for name, one in ALGORITHMS.items()]
    return tuple(Checksum(name, value) for name, value in named if value)


def _code_and_message(response: Response, root: Element | None) -> tuple[str, str]:
    if root is not None and root.name == "Error":
        return (root.value("Code") or "").strip(), root.value("Message") or ""
    # Cut short, or with a key in it that is not escaped: an error anyway.
    return _loosely(response.body, b"Code").strip(), _loosely(response.body, b"Message")


def _loosely(body: bytes, name: bytes) -> str:
    found = re.search(rb"<(?:\w+:)?%b>([^<]{1,1000})</" % name, body)
    return html.unescape(found[1].decode("utf-8", "replace")) if found else ""


def _root(request: Request, response: Response, name: str) -> Element:
    """Return the root element if it is `name` and "Result", S3's word.

    moto writes "Response" for one of them, and rclone nothing.
    """
    root = response.document()
    if root is None or root.name not in {f"{name}Result", f"{name}Response", name}:
        raise bad_response(request, response, f"no {name}Result in it")
    return root


def _required(
    request: Request, response: Response, parent: Element, name: str, *, empty: bool = False
) -> str:
    value = parent.value(name)
    if value is None or not (empty or value.strip()):
        raise bad_response(request, response, f"no {name} in it")
    return value


def _truncated(request: Request, response: Response, root: Element) -> bool:
    # rclone says it only where it is true.
    value = (root.value("IsTruncated") or "false").strip().lower()
    if value not in {"true", "false"}:
        raise bad_response(request, response, "IsTruncated is neither true nor false")
    return value == "true"


def _number(request: Request, response: Response, name: str, text: str) -> int:
    digits = text.strip()
    if not (digits.isascii() and digits.isdigit() and len(digits) <= _MAX_DIGITS):
        raise bad_response(request, response, f"{name} is no number")
    return int(digits)


def _etag(request: Request, response: Response, text: str) -> str:
    """Return an ETag without its quotes; a proxy may have marked it as weak (RFC 9110, 8.8.3)."""
    etag = text.strip().removeprefix("W/").strip('"')
    if not _ETAG.fullmatch(etag):
        raise bad_response(request, response, "no ETag in it")
    return etag


def _is_opaque(response: Response) -> bool:
    headers = response.headers
    by_kms = headers.get(b"x-amz-server-side-encryption", b"").startswith(b"aws:kms")
    return by_kms or b"x-amz-server-side-encryption-customer-algorithm" in headers


def _age(response: Response) -> float | None:
    """Return the seconds since the object was modified, by the store's own clock."""
    modified = http_time(response.header(b"last-modified"))
    now = http_time(response.header(b"date"))
    return None if modified is None or now is None else now - modified


def _time(value: str) -> float:
    """Return the seconds since 1970 of an ISO 8601 time, 0 if it is none; without a zone, UTC."""
    try:
        at = datetime.fromisoformat(value.strip())
        return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return 0.0
