"""Upload one file, or every file of a tree."""

import os
import time

from s3_uploader import to_thread
from s3_uploader.config import Symlinks
from s3_uploader.engine.call import Call
from s3_uploader.engine.job import FileJob
from s3_uploader.engine.journal.history import DirectoryRun
from s3_uploader.engine.transfer.file import fail, upload
from s3_uploader.engine.work import run_over
from s3_uploader.errors import ResourceError, S3UploaderError, SourceError
from s3_uploader.events import ScanFinished
from s3_uploader.keys import check_key
from s3_uploader.source import FileSource, count_files


async def upload_file(call: Call, path: str, key: str, *, content_type: str | None = None) -> None:
    """Upload the file at `path` to `key`; the outcome is in the events.

    Raises:
        InvalidKeyError: `key` cannot be an object's.
    """
    check_key(key, call.store.provider.keys)
    began = time.monotonic()
    source = FileSource(path, call.reader)
    job = FileJob(call, 0, os.path.basename(path), key, source, content_type)
    try:
        await job.source.open()
    except SourceError as error:
        await fail(job, error, began)
        return
    await call.emit(ScanFinished, files=1, size=job.size)
    await upload(job)


async def upload_directory(call: Call, root: str, prefix: str, symlinks: Symlinks) -> None:
    """Upload every file below `root` to `prefix`/<relative path>; outcomes are in the events.

    `symlinks` says which links below `root` are followed.

    Raises:
        InvalidKeyError: no key can begin with `prefix`.
        SourceError: `root` itself is missing, not a directory or unreadable.
    """
    if prefix:
        check_key(prefix)
    store = call.store
    call.directory_run = DirectoryRun.of(call.journal, store.endpoint, store.bucket, prefix, root)

    async def handle(job: FileJob, problem: S3UploaderError | None) -> None:
        if problem is not None:
            await fail(job, problem, time.monotonic())
        else:
            await upload(job)

    await run_over(call, root, prefix, symlinks, handle)
    await call.directory_run.clear()
    await call.warn_if_journal_broken()


async def count_directory(root: str, symlinks: Symlinks) -> int:
    """Return how many files `upload_directory` would find: what a refused one has not uploaded."""
    try:
        return await to_thread.run_sync(count_files, root, symlinks)
    except ResourceError:
        # What the upload lacked, the counting may lack too: then in this thread.
        return count_files(root, symlinks)
