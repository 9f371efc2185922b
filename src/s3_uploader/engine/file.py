"""A call that uploads one file."""

import os
import time

from s3_uploader import to_thread
from s3_uploader.engine.call import Call, Job
from s3_uploader.engine.transfer import fail, transfer
from s3_uploader.errors import SourceError
from s3_uploader.events import ScanFinished
from s3_uploader.source import open_source


async def upload_file(call: Call, path: str, key: str) -> None:
    """Upload the file at `path` to `key`; the outcome is in the events."""
    began = time.monotonic()
    job = Job(0, os.path.basename(path), path, key, 0)
    try:
        fingerprint = await to_thread.run_sync(open_source, path)
    except SourceError as error:
        await fail(call, job, error, began)
        return
    now = time.monotonic()
    await call.events.emit(ScanFinished(upload=call.number, at=now, files=1, size=fingerprint.size))
    await transfer(call, Job(0, job.name, path, key, fingerprint.size))
