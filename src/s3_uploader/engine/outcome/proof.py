"""Decide, without I/O, what an ETag or a checksum proves about the bytes that were sent."""

import hashlib
import re
from collections.abc import Iterable

from s3_uploader.config import Integrity
from s3_uploader.errors import IntegrityError
from s3_uploader.events import Evidence
from s3_uploader.store import Receipt

MD5_DIGITS = 32
_MD5_LIKE = re.compile(r"[0-9a-f]{32}(-[0-9]+)?")


def composite_etag(md5s: Iterable[str]) -> str:
    """Return the ETag of a multipart object: the MD5 of its parts' MD5s, then "-" and their count.

    Not documented by Amazon, but what S3, RunPod, R2, MinIO, Ceph and SeaweedFS answer.
    """
    digests = [bytes.fromhex(md5) for md5 in md5s]
    joined = hashlib.md5(b"".join(digests), usedforsecurity=False).hexdigest()
    return f"{joined}-{len(digests)}"


def expected_etag(etags: list[str]) -> str:
    """Return the composite ETag of parts, from the store's ETag of each; "" if one is no MD5."""
    return composite_etag(etag.lower() for etag in etags) if all(map(is_md5, etags)) else ""


def may_be_md5(etag: str) -> bool:
    """Return whether the ETag has the form of an MD5, or of a composite one."""
    return bool(_MD5_LIKE.fullmatch(etag.lower()))


def is_md5(etag: str) -> bool:
    """Return whether the ETag has the form of an MD5."""
    return len(etag) == MD5_DIGITS and bool(_MD5_LIKE.fullmatch(etag.lower()))


def prove(
    receipt: Receipt, expected: str, integrity: Integrity, key: str, *, crc64nvme: str = ""
) -> Evidence:
    """Return what the receipt proves: "etag-md5", or "size" where only the size can be compared.

    With a checksum: "crc64nvme". The store's own answer to the bytes counts and nothing it says
    later: some hand out, to who asks what is there, the checksum that came with the request.

    Args:
        receipt: the store's answer.
        expected: the MD5 or composite ETag of the bytes that were read, "" if unknown.
        integrity: the setting; "off" proves nothing.
        key: for the message.
        crc64nvme: the checksum that the request carried, "" for none.

    Raises:
        IntegrityError: the ETag or checksum is of other bytes, the ETag is no MD5 where "md5"
            demands one, or there is no checksum.
    """
    if integrity == "off":
        return "none"
    if crc64nvme:
        return _prove_checksum(receipt.crc64nvme, crc64nvme, key)
    actual = receipt.etag.lower()
    if expected and actual == expected and not receipt.opaque:
        return "etag-md5"
    comparable = bool(expected) and not receipt.opaque and bool(_MD5_LIKE.fullmatch(actual))
    if comparable:
        raise IntegrityError("integrity.etag", key=key, actual=actual, expected=expected)
    if integrity == "md5":
        raise IntegrityError("integrity.no_md5", key=key, actual=actual)
    return "size"


def _prove_checksum(actual: str, expected: str, key: str) -> Evidence:
    if not actual:
        raise IntegrityError("integrity.no_checksum", key=key)
    if actual != expected:
        raise IntegrityError("integrity.checksum", key=key, actual=actual, expected=expected)
    return "crc64nvme"
