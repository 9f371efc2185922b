"""Many items of work: the scan of a tree, and workers that handle what it finds."""

from s3_uploader.engine.work.scan import run_over
from s3_uploader.engine.work.workers import run_workers

__all__ = ["run_over", "run_workers"]
