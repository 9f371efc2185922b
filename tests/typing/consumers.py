"""Consumers of a user's own: a function, a coroutine function, an object; checked, never run."""

import logging
from pathlib import Path

from s3_uploader import LogConsumer, RecordConsumer, Uploader
from s3_uploader.events import BytesSent, Event, FileUploaded

_LOG = logging.getLogger(__name__)


def show(event: Event) -> None:
    if isinstance(event, FileUploaded):
        _LOG.info("%s: %.1f s", event.name, event.seconds)


async def record(event: Event) -> None:
    if isinstance(event, BytesSent):
        _LOG.info("part %d: %d bytes", event.part, event.sent)


class Total:
    def __init__(self) -> None:
        self.size = 0

    def __call__(self, event: Event) -> None:
        match event:
            case FileUploaded(size=size):
                self.size += size
            case _:
                pass


async def upload(uploader: Uploader, tree: Path) -> int:
    total = Total()
    times: list[float] = []
    await uploader.upload_directory(tree, consumers=[show, record, total])
    await uploader.upload_directory(tree, consumers=(LogConsumer("en"), RecordConsumer("zh")))
    await uploader.upload_file(tree, consumers=[lambda event: times.append(event.at)])
    return total.size
