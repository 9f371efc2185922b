"""A call that uploads a tree."""

import time

from s3_uploader.config import Symlinks
from s3_uploader.engine.call import Call, Job
from s3_uploader.engine.history import History
from s3_uploader.engine.multipart import tell_journal_problem
from s3_uploader.engine.transfer import fail, transfer
from s3_uploader.engine.work import run_over
from s3_uploader.errors import S3UploaderError


async def upload_directory(call: Call, root: str, prefix: str, symlinks: Symlinks) -> None:
    """Upload every file below `root` to `prefix`/<relative path>; outcomes are in the events.

    `symlinks` says which links below `root` are followed.

    Raises:
        SourceError: `root` itself is missing, not a directory or unreadable.
    """
    call.history = History.of(call.journal, call.store.endpoint, call.store.bucket, prefix, root)

    async def upload(job: Job, problem: S3UploaderError | None) -> None:
        if problem is not None:
            await fail(call, job, problem, time.monotonic())
        else:
            await transfer(call, job)

    await run_over(call, root, prefix, symlinks, upload)
    await call.history.finish()
    await tell_journal_problem(call)
