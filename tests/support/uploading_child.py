"""A process that uploads: task on stdin and result on stdout, both as JSON."""

import asyncio
import json
import resource
import signal
import sys
from collections import Counter
from typing import Any

from s3_uploader import Profile, UploadConfig, Uploader
from s3_uploader.events import Event, Warned


async def main(task: dict[str, Any]) -> dict[str, Any]:
    kinds: Counter[str] = Counter()
    warned: list[tuple[str, dict[str, Any]]] = []

    def watch(event: Event) -> None:
        kinds[type(event).__name__] += 1
        if isinstance(event, Warned):
            warned.append((event.code, dict(event.params)))

    config = UploadConfig(**task["config"])
    async with Uploader(Profile(**task["profile"]), config=config) as uploader:
        if task["directory"]:
            report = await uploader.upload_directory(task["path"], task["key"], consumers=[watch])
            outcomes = report.files
        else:
            outcomes = (await uploader.upload_file(task["path"], task["key"], consumers=[watch]),)
    return {
        "files": {
            outcome.name: {
                "status": outcome.status,
                "reused": outcome.reused,
                "size": outcome.size,
                "parts": outcome.parts,
                "verified_by": outcome.verified_by,
                "message": outcome.message(),
            }
            for outcome in outcomes
        },
        "events": kinds,
        "warned": warned,
    }


if __name__ == "__main__":
    task = json.load(sys.stdin)
    for name, most in task.get("limits", {}).items():
        resource.setrlimit(getattr(resource, name), (most, most))
    # A write beyond RLIMIT_FSIZE is then an error, as on a full disk, and does not end the process.
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    json.dump(asyncio.run(main(task)), sys.stdout)
