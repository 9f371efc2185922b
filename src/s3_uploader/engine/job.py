"""One file of a call: its source, its key, and how requests for it are made."""

import itertools
import mimetypes
import os
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeVar

import anyio

from s3_uploader.engine.call import Call
from s3_uploader.engine.journal import Journal, Place
from s3_uploader.engine.pacing.retry import RetryPolicy, retries_of
from s3_uploader.errors import IntegrityError, ResourceError, S3UploaderError, StoreError
from s3_uploader.events import BytesSent, Event, PartReused, RequestRetried
from s3_uploader.source import Source
from s3_uploader.store import ObjectInfo, PutOptions

T = TypeVar("T")


@dataclass(slots=True, eq=False)
class FileJob:
    """One file, on its way through the engine.

    Attributes:
        call: the call it belongs to.
        file: its number within the call.
        name: what events show.
        key: object key.
        source: where its bytes come from.
        content_type: of its object; None to guess from the name.
    """

    call: Call
    file: int
    name: str
    key: str
    source: Source
    content_type: str | None = None
    _retried: int = 0

    @property
    def size(self) -> int:
        """Bytes, as last measured."""
        return self.source.size

    @property
    def options(self) -> PutOptions:
        """What the object is created with."""
        if self.content_type is not None:
            return PutOptions(self.content_type)
        return _options_of(os.path.splitext(self.name)[1])

    @property
    def place(self) -> Place:
        """Where the object is."""
        return self.call.place(self.key)

    @property
    def journal(self) -> Journal | None:
        """The journal, None where it could not know the source again."""
        return self.call.journal if self.source.identity is not None else None

    async def head(self) -> ObjectInfo:
        """Make one attempt to learn what is at the key; raises as `ObjectStore.head_object`."""
        return await self.call.attempt(lambda: self.call.store.head_object(self.key))

    async def emit(self, kind: Callable[..., Event], **fields: object) -> None:
        """Emit an event of this file; `fields` are what only this event has."""
        fields.setdefault("size", self.size)
        # Not through the call's own: two events a small file are worth a coroutine each.
        call, at = self.call, time.monotonic()
        await call.events.emit(
            kind(call=call.number, at=at, file=self.file, name=self.name, key=self.key, **fields)
        )

    def report_progress(self, part: int, sent: int) -> None:
        """Report that `sent` bytes of a part have been handed to the network."""
        self.call.offer(BytesSent, file=self.file, part=part, sent=sent)

    async def report_reused(self, part: int, size: int) -> None:
        """Report that the store already holds a part of `size` bytes."""
        await self.call.emit(PartReused, file=self.file, part=part, size=size)

    async def request(
        self,
        operation: str,
        attempt: Callable[[], Awaitable[T]],
        *,
        size: int | None = None,
        part: int | None = None,
    ) -> T:
        """Make a request: a limiter token, then the attempt; after a failure the retry policy.

        The token is released while waiting for the next attempt. `size` is the body's, in bytes;
        None for no body.

        Raises:
            S3UploaderError: what the last attempt raised.
        """
        for number in itertools.count(1):
            try:
                return await self.call.attempt(attempt, size=size)
            except (StoreError, IntegrityError) as error:
                failure = error
            delay = self.delay(failure, number)
            if delay is None:
                # Lacked by each attempt, in the end with nothing else in flight: by each file too.
                if isinstance(failure, ResourceError):
                    failure.fatal = True
                raise failure
            await self.back_off(operation, number, failure, delay, part=part)
        raise AssertionError("unreachable: the loop has no end")

    def delay(self, error: S3UploaderError, number: int) -> float | None:
        """Return the seconds to wait after failed attempt `number`, None if it was the last.

        A file has retries for each of its requests, and for all together.
        """
        call = self.call
        allowed = retries_of(self.size, call.tuning.part_size, call.config.max_attempts)
        if self._retried >= allowed:
            return None
        policy = RetryPolicy.of(call.config)
        delay = policy.delay(error, number, reached=call.store_state.responded, rng=call.rng)
        if delay is not None:
            self._retried += 1
        return delay

    async def back_off(
        self,
        operation: str,
        number: int,
        error: S3UploaderError,
        delay: float,
        *,
        part: int | None = None,
    ) -> None:
        """Report that attempt `number` failed, and wait `delay` seconds before the next."""
        await self.emit(
            RequestRetried,
            operation=operation,
            part=part,
            attempt=number,
            delay=delay,
            code=error.code,
            params=error.params,
        )
        await anyio.sleep(delay)


@lru_cache(1024)
def _options_of(suffix: str) -> PutOptions:
    return PutOptions(mimetypes.guess_type(f"x{suffix}")[0] or "application/octet-stream")
