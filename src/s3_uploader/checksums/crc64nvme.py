"""CRC-64/NVME, written as Amazon S3 writes it: base64 of eight bytes, the highest first.

awscrt (the extra `crc`) computes it at tens of gigabytes a second; imported at the first use.
"""

from base64 import b64decode, b64encode
from collections.abc import Iterable
from importlib import import_module
from typing import Any

from s3_uploader.checksums.base import Algorithm


class _Crc64Nvme:
    """A CRC of bytes that come in pieces."""

    def __init__(self) -> None:
        self._crc = 0
        self._compute: Any = _library().crc64nvme

    def update(self, data: bytes | memoryview) -> None:
        self._crc = self._compute(data, self._crc)

    def value(self) -> str:
        return _text(self._crc)


def _combine(pieces: Iterable[tuple[str, int]]) -> str:
    combine = _library().combine_crc64nvme
    whole = 0
    for crc, size in pieces:
        whole = combine(whole, int.from_bytes(b64decode(crc)), size)
    return _text(whole)


def _library() -> Any:
    return import_module("awscrt.checksums")


def _text(crc: int) -> str:
    return b64encode(crc.to_bytes(8)).decode()


CRC64NVME = Algorithm(
    name="crc64nvme",
    title="CRC-64/NVME",
    s3_name="CRC64NVME",
    header="x-amz-checksum-crc64nvme",
    field="ChecksumCRC64NVME",
    library="awscrt",
    extra="crc",
    new=_Crc64Nvme,
    combine=_combine,
)
