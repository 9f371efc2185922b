"""What an ETag is by its form, and the composite ETag of an object that was sent in parts."""

import re
from collections.abc import Iterable

from s3_uploader.checksums.md5 import md5_of

MD5_DIGITS = 32
_MD5_LIKE = re.compile(r"[0-9a-f]{32}(-[0-9]+)?")


def composite_etag(md5s: Iterable[str]) -> str:
    """Return the ETag of a multipart object: the MD5 of its parts' MD5s, then "-" and their count.

    Not documented by Amazon, but what S3, RunPod, R2, MinIO, Ceph and SeaweedFS return.
    """
    digests = [bytes.fromhex(md5) for md5 in md5s]
    return f"{md5_of(b''.join(digests))}-{len(digests)}"


def expected_etag(etags: list[str]) -> str:
    """Return the composite ETag of parts, from the store's ETag of each; "" if one is no MD5."""
    return composite_etag(etag.lower() for etag in etags) if all(map(is_md5, etags)) else ""


def may_be_md5(etag: str) -> bool:
    """Return whether the ETag has the form of an MD5, or of a composite one."""
    return bool(_MD5_LIKE.fullmatch(etag.lower()))


def is_md5(etag: str) -> bool:
    """Return whether the ETag has the form of an MD5."""
    return len(etag) == MD5_DIGITS and may_be_md5(etag)
