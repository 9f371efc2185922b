"""s3_uploader by its async `Uploader`, on asyncio's own event loop."""

import asyncio
import os
import sys

from benchmarks.contenders.job import Job

from s3_uploader import Uploader


async def main() -> int:
    """Upload; 1 if anything failed."""
    job = Job.from_argv()
    async with Uploader() as uploader:
        if job.kind == "file":
            key = f"{job.prefix}/{os.path.basename(job.source)}"
            return 0 if (await uploader.upload_file(job.source, key)).ok else 1
        report = await uploader.upload_directory(job.source, job.prefix)
        return 1 if report.failed else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
