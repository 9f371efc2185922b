"""Pure arithmetic: parts from sizes, and what each store allows."""

from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

from s3_uploader.errors import SourceError
from s3_uploader.sizes import GIB, MIB


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
