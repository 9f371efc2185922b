"""s3_uploader by its two plain functions; the endpoint comes from RUNPOD_S3_* variables."""

import os
import sys

from benchmarks.contenders.job import Job

from s3_uploader import upload_directory, upload_file


def main() -> int:
    """Upload; 1 if anything failed."""
    job = Job.from_argv()
    if job.kind == "file":
        key = f"{job.prefix}/{os.path.basename(job.source)}"
        return 0 if upload_file(job.source, key, models_subdir="", verbose=False) else 1
    counts = upload_directory(job.source, job.prefix, models_subdir="", verbose=False)
    return 1 if counts["failed"] else 0


if __name__ == "__main__":
    sys.exit(main())
