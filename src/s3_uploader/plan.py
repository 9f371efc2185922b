"""Cut a file into parts: pure arithmetic."""

from collections.abc import Iterator
from dataclasses import dataclass

from s3_uploader.errors import SourceError
from s3_uploader.providers import Limits
from s3_uploader.sizes import MIB


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a multipart upload: `number` counts from 1, `offset` and `size` are bytes."""

    number: int
    offset: int
    size: int


@dataclass(frozen=True, slots=True)
class PartPlan:
    """Equal parts, except for the last (Cloudflare R2 requires them; resuming relies on them)."""

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


def plan_parts(size: int, part_size: int, limits: Limits) -> PartPlan:
    """Cut `size` bytes into parts of `part_size`, larger only if the part limit requires it.

    An enlarged part size is a whole number of MiB where the store's largest part allows.

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
