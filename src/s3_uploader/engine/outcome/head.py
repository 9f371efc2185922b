"""Ask by HEAD what is at a key, and compare it with what we sent.

The object is ours if it carries our token, and no ETag that contradicts; it has our content if its
ETag is what our parts add up to, or the MD5 of the whole. Never by its size alone.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal

import anyio

from s3_uploader.checksums import Checksum, is_md5, may_be_md5
from s3_uploader.engine.job import FileJob
from s3_uploader.engine.outcome.judge import Likeness
from s3_uploader.engine.upload import TOKEN
from s3_uploader.errors import IntegrityError, SourceError, StoreError
from s3_uploader.sizes import GIB
from s3_uploader.source import source_md5
from s3_uploader.store import ObjectInfo

_BASE_SECONDS, _SECONDS_PER_GIB = 60.0, 30.0

Basis = Literal["composite", "whole", "token", "response"]
"""What an object is known by: the composite ETag of our parts; the MD5 of the whole file; our
token; or nothing but the response to what published it."""


@dataclass(frozen=True, slots=True)
class Published:
    """An object that is published.

    Attributes:
        etag: its ETag.
        by: what it is known by.
        opaque: the store says that its ETag is no MD5.
        checksums: the store's, of the whole, as far as it named them.
    """

    etag: str
    by: Basis
    opaque: bool = False
    checksums: tuple[Checksum, ...] = ()


class Content:
    """What an object has to show that holds the file.

    Args:
        job: the file; its source is open, unless it is not to be read again.
        composite: the ETag that its parts add up to, "" where ETags say nothing.
        token: in the object's metadata, where the store keeps it; "" for none.
        reread: whether the file may be read once more where that can decide.
    """

    def __init__(
        self, job: FileJob, composite: str = "", token: str = "", *, reread: bool = True
    ) -> None:
        self.composite = composite
        self._job = job
        self._reread = reread
        self._token = token
        self._whole: str | None = None

    async def is_whole(self, etag: str) -> bool:
        """Return whether an ETag is the MD5 of the whole file, as some stores' are for parts too.

        Reads the file once, where the ETag has that form; one that has changed has no such ETag.
        """
        if not self._reread or not is_md5(etag):
            return False
        if self._whole is None:
            self._whole = ""
            with suppress(SourceError):
                self._whole = await source_md5(self._job.source)
        return etag.lower() == self._whole

    def is_ours(self, info: ObjectInfo) -> bool:
        """Return whether the object carries our token."""
        return bool(self._token) and info.metadata.get(TOKEN) == self._token

    async def compare(self, info: ObjectInfo) -> tuple[Likeness, Basis]:
        """Return what an object is, and what it is known by."""
        ours = self.is_ours(info)
        etag = info.etag.lower()
        if info.size in {None, self._job.size}:
            if etag and etag == self.composite:
                return ("ours" if ours else "same"), "composite"
            if not info.opaque and await self.is_whole(etag):
                return ("ours" if ours else "same"), "whole"
            contradicts = not info.opaque and self.composite and may_be_md5(etag)
            if ours and info.size is not None and not contradicts:
                return "ours", "token"
        return ("damaged" if ours else "other"), "response"


@dataclass(frozen=True, slots=True)
class Look:
    """What a HEAD has shown.

    `published` is the object where it is ours or has our content, `info` whatever it is.
    """

    likeness: Likeness
    published: Published | None = None
    info: ObjectInfo | None = None


async def look(job: FileJob, content: Content) -> Look:
    """Ask what is at the key."""
    try:
        info = await job.head()
    except StoreError as error:
        return Look("absent" if error.code == "store.not_found" else "unseen")
    likeness, by = await content.compare(info)
    if likeness in {"ours", "same"}:
        return Look(likeness, Published(info.etag, by, info.opaque), info)
    return Look(likeness, info=info)


def damaged(job: FileJob, content: Content, info: ObjectInfo) -> IntegrityError:
    """Return the error of an object that is the work of our upload, and not the file's bytes."""
    if info.size not in {None, job.size}:
        return IntegrityError(
            "integrity.size", key=job.key, actual=str(info.size), expected=job.size
        )
    expected = content.composite or "-"
    return IntegrityError("integrity.damaged", key=job.key, actual=info.etag, expected=expected)


async def find(job: FileJob, content: Content, pauses: Sequence[float]) -> Published | None:
    """Return the object at the key if it has our content.

    Looked for once more after each of `pauses` (seconds), unless what is there is damaged.
    """
    for pause in (*pauses, None):
        seen = await look(job, content)
        if seen.published is not None or seen.likeness == "damaged" or pause is None:
            return seen.published
        await anyio.sleep(pause)
    return None


def budget(job: FileJob) -> float:
    """Return the seconds to find out what became of a request whose response was lost."""
    if job.call.config.outcome_timeout is not None:
        return job.call.config.outcome_timeout
    return _BASE_SECONDS + _SECONDS_PER_GIB * job.size / GIB
