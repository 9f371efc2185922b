"""Read what S3 request a head begins: its operation, key and part."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from urllib.parse import parse_qs, unquote

from s3_uploader.testing.faults.http import Head

_RULES = (
    # method, has a key, parameters or headers it must have, operation; the first that fits.
    ("PUT", True, {"partNumber", "uploadId", "x-amz-copy-source"}, "UploadPartCopy"),
    ("PUT", True, {"partNumber", "uploadId"}, "UploadPart"),
    ("PUT", True, {"x-amz-copy-source"}, "CopyObject"),
    ("PUT", True, set[str](), "PutObject"),
    ("POST", True, {"uploads"}, "CreateMultipartUpload"),
    ("POST", True, {"uploadId"}, "CompleteMultipartUpload"),
    ("DELETE", True, {"uploadId"}, "AbortMultipartUpload"),
    ("DELETE", True, set[str](), "DeleteObject"),
    ("GET", True, {"uploadId"}, "ListParts"),
    ("GET", True, set[str](), "GetObject"),
    ("HEAD", True, set[str](), "HeadObject"),
    ("HEAD", False, set[str](), "HeadBucket"),
    ("GET", False, {"uploads"}, "ListMultipartUploads"),
    ("GET", False, set[str](), "ListObjects"),
    ("POST", False, {"delete"}, "DeleteObjects"),
)

_OTHER = "Other"
_SUBRESOURCES = frozenset(
    {
        *("acl", "attributes", "cors", "encryption", "lifecycle", "location", "legal-hold"),
        *("object-lock", "policy", "restore", "retention", "select", "tagging", "versioning"),
        "versions",
    }
)
"""Parameters that make a request something else than its method and path say."""

OPERATIONS = (*dict.fromkeys(rule[-1] for rule in _RULES), _OTHER)
"""Every name an operation can have; "Other" for those without a name here."""


@dataclass(frozen=True, slots=True)
class Request:
    """One request of path style (`/bucket/key`).

    Attributes:
        operation: one of `OPERATIONS`.
        key: the object key, "" for none.
        part: part number, None if it has none.
        upload_id: of a multipart upload, None if it has none.
        size: bytes of the body as announced, None if it comes in chunks.
        query: the parameters, the first value of each.
        head: the head as it came.
    """

    operation: str
    key: str
    part: int | None
    upload_id: str | None
    size: int | None
    query: dict[str, str] = field(repr=False)
    head: Head = field(repr=False)

    @property
    def access_key(self) -> str:
        """The access key that signed it, "" if it is not signed."""
        signed = self.head.get("authorization").partition("Credential=")[2]
        return (signed or self.query.get("X-Amz-Credential", "")).partition("/")[0]

    @property
    def signed_at(self) -> datetime | None:
        """When it was signed by its client's clock, None if it does not say."""
        stamp = self.head.get("x-amz-date") or self.query.get("X-Amz-Date", "")
        try:
            return datetime.strptime(stamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        except ValueError:
            return None

    @property
    def expects_continue(self) -> bool:
        """Whether its body comes only after a 100 Continue."""
        return self.head.get("expect").lower() == "100-continue"


def read_request(head: Head) -> Request:
    """Return the S3 request that begins with `head`."""
    path, _, parameters = head.url.decode("latin-1").partition("?")
    values = parse_qs(parameters, keep_blank_values=True)
    query = {name: found[0] for name, found in values.items()}
    key = unquote(path.removeprefix("/").partition("/")[2], "utf-8", "surrogateescape")
    part = query.get("partNumber", "")
    return Request(
        operation=_operation(head, key, query),
        key=key,
        part=int(part) if part.isdecimal() else None,
        upload_id=query.get("uploadId"),
        size=None if head.chunked else head.length or 0,
        query=query,
        head=head,
    )


def _operation(head: Head, key: str, query: dict[str, str]) -> str:
    present = {*query, *(name.lower().decode("latin-1") for name, _ in head.headers)}
    if not _SUBRESOURCES.isdisjoint(query):
        return _OTHER
    for method, has_key, needed, operation in _RULES:
        if method == head.method and has_key == bool(key) and needed <= present:
            return operation
    return _OTHER
