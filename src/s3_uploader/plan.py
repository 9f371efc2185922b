"""Pure arithmetic: keys from paths, parts from sizes, and what each store allows."""

from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

from s3_uploader.errors import InvalidKeyError, SourceError

KIB = 1024
MIB = 1024 * KIB
GIB = 1024 * MIB
TIB = 1024 * GIB

MAX_KEY_BYTES = 1024
"""Longest object key, in bytes of UTF-8 (Amazon S3 User Guide, "Naming Amazon S3 objects")."""


@dataclass(frozen=True, slots=True)
class StoreLimits:
    """What a store accepts, and the values that work well with it. Sizes are bytes.

    Attributes:
        name: for messages.
        min_part: smallest part, the last one excepted.
        max_part: largest part.
        max_parts: parts of one multipart upload.
        max_put: largest body of a single PutObject.
        multipart_threshold: files larger than this are sent in parts.
        part_size: the part size to start from.
        requests: requests in flight that are safe to begin with.
        max_requests: requests in flight never exceeded by default.
        crc64nvme: it is known to verify CRC-64/NVME of a body, and to answer what it verified.
    """

    name: str = "S3"
    min_part: int = 5 * MIB
    max_part: int = 5 * GIB
    max_parts: int = 10_000
    max_put: int = 5 * GIB
    multipart_threshold: int = 16 * MIB
    part_size: int = 8 * MIB
    requests: int = 16
    max_requests: int = 256
    crc64nvme: bool = False

    @property
    def max_object(self) -> int:
        """Largest object that multipart upload can build, in bytes."""
        return self.max_part * self.max_parts


GENERIC = StoreLimits()
"""Amazon S3's limits (User Guide, "Amazon S3 multipart upload limits"), which most stores copy."""

RUNPOD = StoreLimits(
    name="RunPod",
    min_part=1,
    # A proxy in front of the volumes answers 413 somewhere above 95 MiB.
    max_part=95 * MIB,
    max_put=95 * MIB,
    # 4,572 parts were seen to work, about 7,000 to fail at CompleteMultipartUpload.
    max_parts=4_500,
    multipart_threshold=64 * MIB,
    part_size=64 * MIB,
    requests=4,
    max_requests=8,
)
AMAZON = StoreLimits(crc64nvme=True)
"""User Guide, "Checking object integrity in Amazon S3"; not tried live."""

SCALEWAY = StoreLimits(name="Scaleway", max_parts=1_000)

_BY_HOST_SUFFIX = {".runpod.io": RUNPOD, ".scw.cloud": SCALEWAY, ".amazonaws.com": AMAZON}


def limits_for(endpoint_url: str) -> StoreLimits:
    """Return the limits of the store behind `endpoint_url`, told by its host name."""
    host = urlsplit(endpoint_url).hostname or ""
    for suffix, limits in _BY_HOST_SUFFIX.items():
        if host.endswith(suffix):
            return limits
    return GENERIC


# ------------------------------------------------------------------------------------------ keys


def join_key(*pieces: str) -> str:
    """Join the pieces of a key with '/', leaving out empty ones.

    A leading '/' of any piece and the '/' between pieces do not count; a '/' at the end of the
    last piece stays, for `check_key` to refuse.
    """
    kept = [piece.lstrip("/") for piece in pieces]
    *heads, last = kept or [""]
    return "/".join([*(head.rstrip("/") for head in heads if head.rstrip("/")), last])


def check_key(key: str) -> str:
    """Return `key` if every store can hold it.

    Raises:
        InvalidKeyError: empty, over 1,024 bytes, not UTF-8, NUL, or a segment that is empty,
            '.' or '..' (RunPod maps keys to real paths; clients and proxies normalise such paths).
    """
    if not key:
        raise InvalidKeyError("key.empty")
    if "\0" in key:
        raise InvalidKeyError("key.nul", key=key)
    try:
        length = len(key.encode())
    except UnicodeEncodeError as error:
        raise InvalidKeyError("key.not_utf8", key=key) from error
    if length > MAX_KEY_BYTES:
        raise InvalidKeyError("key.too_long", key=key, length=length, limit=MAX_KEY_BYTES)
    for segment in key.split("/"):
        if not segment:
            raise InvalidKeyError("key.empty_segment", key=key)
        if segment in {".", ".."}:
            raise InvalidKeyError("key.dot_segment", key=key, segment=segment)
    return key


def file_key(models_subdir: str, remote_key: str | None, file_name: str) -> str:
    """Return the key of a single file: models_subdir + (remote_key or the file's own name).

    Raises:
        InvalidKeyError: as `check_key`.
    """
    return check_key(join_key(models_subdir, remote_key or file_name))


def directory_prefix(models_subdir: str, remote_prefix: str | None, parent: str = "") -> str:
    """Return the prefix of a directory's keys: models_subdir + remote_prefix + parent name.

    The result has no '/' at either end and is "" for the bucket's root.

    Raises:
        InvalidKeyError: as `check_key`.
    """
    prefix = join_key(models_subdir, remote_prefix or "", parent).rstrip("/")
    return check_key(prefix) if prefix else prefix


# ----------------------------------------------------------------------------------------- parts


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a multipart upload: `number` counts from 1, `offset` and `size` are bytes."""

    number: int
    offset: int
    size: int


@dataclass(frozen=True, slots=True)
class PartPlan:
    """Equal parts, the last one excepted (Cloudflare R2 demands it; resuming relies on it)."""

    size: int
    part_size: int

    @property
    def count(self) -> int:
        """Number of parts."""
        return -(-self.size // self.part_size)

    def __iter__(self) -> Iterator[Part]:
        for index in range(self.count):
            offset = index * self.part_size
            yield Part(index + 1, offset, min(self.part_size, self.size - offset))


def plan_parts(size: int, part_size: int, limits: StoreLimits) -> PartPlan:
    """Cut `size` bytes into parts of `part_size`, larger only if the part count demands it.

    A grown part size is a whole number of MiB where the store's largest part allows.

    Raises:
        SourceError: the file is larger than the store's largest part times its part limit.
    """
    if size > limits.max_object:
        raise SourceError(
            "plan.too_large", size=size, limit=limits.max_object, max_parts=limits.max_parts
        )
    if -(-size // part_size) > limits.max_parts:
        smallest = -(-size // limits.max_parts)
        part_size = min(-(-smallest // MIB) * MIB, limits.max_part)
    return PartPlan(size, part_size)
