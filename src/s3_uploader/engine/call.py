"""What one call of `upload_file` or `upload_directory` shares, and how it makes requests."""

import itertools
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TypeVar

import anyio

from s3_uploader.config import UploadConfig
from s3_uploader.engine.channel import Channel
from s3_uploader.engine.limiter import Limiter
from s3_uploader.engine.retry import RetryPolicy
from s3_uploader.errors import IntegrityError, S3UploaderError, StoreError
from s3_uploader.events import RequestRetried
from s3_uploader.source import SmallFileReader
from s3_uploader.store import ObjectStore

T = TypeVar("T")


@dataclass(slots=True)
class Reach:
    """Whether the store has ever answered; shared by all calls of an Uploader."""

    answered: bool = False


@dataclass(frozen=True, slots=True)
class Job:
    """One file to upload. `size` is bytes as last measured."""

    file: int
    name: str
    path: str
    key: str
    size: int


@dataclass(slots=True, kw_only=True)
class Call:
    """One upload call: its number, its store, the shared limiter, its events.

    `stopped` is the error that every further file would meet, once one was met.
    """

    number: int
    store: ObjectStore
    config: UploadConfig
    limiter: Limiter
    reader: SmallFileReader
    events: Channel
    reach: Reach
    content_type: str | None = None
    stopped: StoreError | None = None
    _rng: random.Random = field(default_factory=random.Random)

    async def request(
        self,
        job: Job,
        operation: str,
        attempt: Callable[[], Awaitable[T]],
        *,
        size: int = 0,
        part: int | None = None,
    ) -> T:
        """Make a request: a limiter token, then the attempt; after a failure the retry policy.

        The token is given back while waiting to try again. `size` is the body's, in bytes.

        Raises:
            S3UploaderError: what the last attempt raised.
        """
        for number in itertools.count(1):
            token = await self.limiter.acquire()
            began = time.monotonic()
            try:
                result = await attempt()
            except (StoreError, IntegrityError) as error:
                self.limiter.failed(error)
                failure = error
            else:
                self.limiter.succeeded(size, began)
                self.reach.answered = True
                return result
            finally:
                self.limiter.release(token)
            await self._back_off(job, operation, part, number, failure)
        raise AssertionError("unreachable: the loop has no end")

    async def _back_off(
        self, job: Job, operation: str, part: int | None, number: int, error: S3UploaderError
    ) -> None:
        """Wait before the next attempt, or raise the error if there is to be none."""
        if getattr(error, "status", None):
            self.reach.answered = True
        policy = RetryPolicy.of(self.config)
        delay = policy.delay(error, number, reached=self.reach.answered, rng=self._rng)
        if delay is None:
            raise error
        await self.events.emit(
            RequestRetried(
                upload=self.number,
                at=time.monotonic(),
                file=job.file,
                key=job.key,
                operation=operation,
                part=part,
                attempt=number,
                delay=delay,
                code=error.code,
                params=error.params,
            )
        )
        await anyio.sleep(delay)
