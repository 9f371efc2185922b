"""Whether an ETag is that of a file's bytes: computed where nothing else decides."""

from s3_uploader.checksums import Digests, composite_etag, is_md5, may_be_md5
from s3_uploader.engine.job import FileJob
from s3_uploader.engine.work import run_workers
from s3_uploader.errors import SourceError
from s3_uploader.plan import Part, PartPlan, plan_parts
from s3_uploader.sizes import MIB
from s3_uploader.source import source_md5

_USUAL_PART_SIZES = tuple(
    mib * MIB for mib in (5, 8, 10, 15, 16, 25, 32, 50, 64, 100, 128, 256, 512)
)
"""Part sizes that other tools use by default or in their manuals."""


async def has_etag(job: FileJob, etag: str, *, guesses: int | None = None) -> bool:
    """Return whether the ETag is the MD5 of the file's bytes, or the composite one of its parts.

    For each guess at the size of the parts the file is read once; None for all that are usual.

    Raises:
        SourceError: the file cannot be read, or has changed since it was opened.
    """
    etag = etag.lower()
    if is_md5(etag):
        return await source_md5(job.source) == etag
    count = etag.rpartition("-")[2] if may_be_md5(etag) else ""
    for part_size in _part_sizes(job, int(count))[:guesses] if count else ():
        if await _composite(job, part_size) == etag:
            return True
    return False


def _part_sizes(job: FileJob, count: int) -> list[int]:
    """Return the part sizes to try for an object of so many parts, the likeliest first."""
    size, call = job.size, job.call
    if not size or not count:
        return []
    exact = -(-size // count)
    sizes = (
        plan_parts(size, call.tuning.part_size, call.limits).part_size,
        *_USUAL_PART_SIZES,
        -(-exact // MIB) * MIB,
        exact,
    )
    return [part for part in dict.fromkeys(sizes) if PartPlan(size, part).count == count]


async def _composite(job: FileJob, part_size: int) -> str:
    plan = PartPlan(job.size, part_size)
    md5s: dict[int, str] = {}
    parts = iter(plan)
    failures: list[SourceError] = []

    async def take() -> Part | None:
        return None if failures else next(parts, None)

    async def hash_part(part: Part) -> None:
        body = job.source.body(part.offset, part.size, Digests(md5=True))
        try:
            md5s[part.number] = await body.hash()
        except SourceError as error:
            failures.append(error)

    await run_workers(take, hash_part, job.call.limiter)
    if failures:
        raise failures[0]
    return composite_etag(md5s[part.number] for part in plan)
