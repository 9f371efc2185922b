"""Decide, without I/O, what an ETag or a checksum proves about the bytes that were sent."""

from typing import cast

from s3_uploader.checksums import ALGORITHMS, Checksum, may_be_md5
from s3_uploader.config import Integrity
from s3_uploader.errors import IntegrityError
from s3_uploader.events import Evidence
from s3_uploader.store import Receipt


def prove(
    receipt: Receipt,
    expected: str,
    integrity: Integrity,
    key: str,
    checksum: Checksum | None = None,
) -> Evidence:
    """Return what the receipt proves: "etag-md5", or "size" where only the size can be compared.

    With a checksum: its algorithm. The store's own response to the bytes counts, and nothing it
    says later: some stores echo the request's checksum in later HEAD responses.

    Args:
        receipt: the store's response.
        expected: the MD5 or composite ETag of the bytes that were read, "" if unknown.
        integrity: the setting; "off" proves nothing.
        key: for the message.
        checksum: what the request carried, None for nothing.

    Raises:
        IntegrityError: the ETag or checksum is of other bytes, the ETag is no MD5 where "md5"
            demands one, or there is no checksum.
    """
    if integrity == "off":
        return "none"
    if checksum is not None:
        return _prove_checksum(receipt.checksum(checksum.algorithm), checksum, key)
    actual = receipt.etag.lower()
    if expected and actual == expected and not receipt.opaque:
        return "etag-md5"
    comparable = bool(expected) and not receipt.opaque and may_be_md5(actual)
    if comparable:
        raise IntegrityError("integrity.etag", key=key, actual=actual, expected=expected)
    if integrity == "md5":
        raise IntegrityError("integrity.no_md5", key=key, actual=actual)
    return "size"


def _prove_checksum(actual: str, expected: Checksum, key: str) -> Evidence:
    named: dict[str, str] = {"key": key, "algorithm": ALGORITHMS[expected.algorithm].title}
    if not actual:
        raise IntegrityError("integrity.no_checksum", **named)
    if actual != expected.value:
        raise IntegrityError("integrity.checksum", **named, actual=actual, expected=expected.value)
    return cast("Evidence", expected.algorithm)
