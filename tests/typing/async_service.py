"""A service with one Uploader for its whole life, as a user types it; checked, never run."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import assert_type

from s3_uploader import (
    FileOutcome,
    PendingUpload,
    Profile,
    UploadConfig,
    Uploader,
    UploadReport,
    VerifyReport,
)
from s3_uploader.events import Event, EventsLost, FileFailed, FileUploaded


class Service:
    def __init__(self, uploader: Uploader) -> None:
        self._uploader = uploader

    @classmethod
    @asynccontextmanager
    async def open(cls, profile: Profile) -> AsyncGenerator["Service"]:
        config = UploadConfig(part_size=32 * 1024**2, max_requests=16, on_cancel="keep")
        async with Uploader(profile, config=config) as uploader:
            assert_type(uploader, Uploader)
            yield cls(uploader)

    async def store(self, path: Path) -> str:
        outcome = await self._uploader.upload_file(path, content_type="application/json")
        assert_type(outcome, FileOutcome)
        return outcome.etag

    async def store_both(self, one: Path, tree: Path) -> int:
        outcome, report = await asyncio.gather(
            self._uploader.upload_file(one, f"models/{one.name}"),
            self._uploader.upload_directory(tree, "models", symlinks="inside", keep_files=False),
        )
        assert_type(outcome.ok, bool)
        assert_type(report, UploadReport)
        return report.success

    async def complete(self, tree: Path) -> bool:
        report = await self._uploader.verify_directory(tree, "models")
        assert_type(report, VerifyReport)
        return report.ok

    async def give_up(self) -> None:
        for pending in await self._uploader.pending_uploads("models/", foreign=True):
            assert_type(pending, PendingUpload)
            gone = await self._uploader.abort_upload(pending.key, pending.upload_id, force=True)
            assert_type(gone, bool)

    async def follow(self) -> list[str]:
        lines: list[str] = []
        async with self._uploader.events() as stream:
            async for event in stream:
                assert_type(event, Event | EventsLost)
                match event:
                    case FileUploaded(name=name, size=size):
                        lines.append(f"{name}: {size}")
                    case FileFailed(name=name, code=code):
                        lines.append(f"{name}: {code}")
                    case _:
                        pass
        return lines
