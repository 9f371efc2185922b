"""Checksums: one value for all algorithms, one small file for each."""

from s3_uploader.checksums.base import Algorithm, Checksum, Digest, Digests
from s3_uploader.checksums.composite import composite_etag, expected_etag, is_md5, may_be_md5
from s3_uploader.checksums.crc64nvme import CRC64NVME

ALGORITHMS = {algorithm.name: algorithm for algorithm in (CRC64NVME,)}
"""Checksums that a request can carry, by name."""

__all__ = [
    "ALGORITHMS",
    "CRC64NVME",
    "Algorithm",
    "Checksum",
    "Digest",
    "Digests",
    "composite_etag",
    "expected_etag",
    "is_md5",
    "may_be_md5",
]
