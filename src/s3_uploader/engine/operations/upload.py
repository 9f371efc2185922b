"""Upload one file, or every file of a tree."""

import os
import time

from s3_uploader import to_thread
from s3_uploader.config import Symlinks
from s3_uploader.engine.call import Call, FileJob
from s3_uploader.engine.journal.history import History
from s3_uploader.engine.transfer.multipart import warn_if_journal_broken
from s3_uploader.engine.transfer.transfer import fail, transfer
from s3_uploader.engine.work import run_over
from s3_uploader.errors import S3UploaderError, SourceError
from s3_uploader.events import ScanFinished
from s3_uploader.source import open_source


async def upload_file(call: Call, path: str, key: str) -> None:
    """Upload the file at `path` to `key`; the outcome is in the events."""
    began = time.monotonic()
    job = FileJob(0, os.path.basename(path), path, key, 0)
    try:
        fingerprint = await to_thread.run_sync(open_source, path)
    except SourceError as error:
        await fail(call, job, error, began)
        return
    await call.emit(ScanFinished, files=1, size=fingerprint.size)
    await transfer(call, FileJob(0, job.name, path, key, fingerprint.size))


async def upload_directory(call: Call, root: str, prefix: str, symlinks: Symlinks) -> None:
    """Upload every file below `root` to `prefix`/<relative path>; outcomes are in the events.

    `symlinks` says which links below `root` are followed.

    Raises:
        SourceError: `root` itself is missing, not a directory or unreadable.
    """
    call.history = History.of(call.journal, call.store.endpoint, call.store.bucket, prefix, root)

    async def upload(job: FileJob, problem: S3UploaderError | None) -> None:
        if problem is not None:
            await fail(call, job, problem, time.monotonic())
        else:
            await transfer(call, job)

    await run_over(call, root, prefix, symlinks, upload)
    await call.history.finish()
    await warn_if_journal_broken(call)
