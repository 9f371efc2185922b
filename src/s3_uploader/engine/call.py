"""What one call of `upload_file` or `upload_directory` shares, and how it makes requests."""

import itertools
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import TypeVar

import anyio

from s3_uploader.config import UploadConfig
from s3_uploader.engine.delivery.channel import Channel
from s3_uploader.engine.journal import Journal, Place
from s3_uploader.engine.journal.history import History
from s3_uploader.engine.pacing.limiter import Limiter
from s3_uploader.engine.pacing.retry import RetryPolicy, retries_of
from s3_uploader.errors import IntegrityError, Param, ResourceError, S3UploaderError, StoreError
from s3_uploader.events import PART_EVENTS, Event, RequestRetried, Warned
from s3_uploader.plan import StoreLimits
from s3_uploader.shortage import shortage_of
from s3_uploader.source import SmallFileReader, Within
from s3_uploader.store import Body, ObjectStore

T = TypeVar("T")


@dataclass(slots=True)
class StoreState:
    """What the store has taught; shared by all calls of an Uploader.

    Attributes:
        answered: whether it has ever answered.
        max_body: bytes of the largest body it takes, as far as it refused larger ones.
        bucket_exists: whether the bucket is known to exist.
        head_seen: whether a HEAD in a verification has ever said what is there, or that nothing is.
        content_md5: whether it demands Content-MD5 with every body.
        named_etag: the first ETag it named that is no digest.
        warned: the codes of warnings that are said once.
    """

    answered: bool = False
    max_body: int | None = None
    bucket_exists: bool = False
    head_seen: bool = False
    content_md5: bool = False
    named_etag: str = ""
    _etags_differ: bool = False
    warned: set[str] = field(default_factory=set)

    def demanded(self, error: StoreError, body: Body) -> StoreError:
        """Return a refusal of a body; as one to try again after where it only lacked its MD5."""
        if error.code != "store.needs_md5" or body.content_md5:
            return error
        self.content_md5 = True
        return error.as_retryable()

    def tells_versions(self, etag: str) -> bool:
        """Return whether ETags that are no digests have been seen to differ, `etag` included."""
        self.named_etag = self.named_etag or etag
        self._etags_differ |= etag != self.named_etag
        return self._etags_differ

    def limits(self, known: StoreLimits) -> StoreLimits:
        """Return the limits with what was learned since."""
        largest = self.max_body
        if largest is None:
            return known
        return replace(
            known,
            part_size=min(known.part_size, largest),
            max_part=min(known.max_part, largest),
            max_put=min(known.max_put, largest),
            multipart_threshold=min(known.multipart_threshold, largest),
        )


@dataclass(frozen=True, slots=True)
class FileJob:
    """One file to upload. `size` is bytes as last measured, `within` is checked at opening."""

    file: int
    name: str
    path: str
    key: str
    size: int
    within: Within | None = None


@dataclass(slots=True, kw_only=True)
class Call:
    """One upload call: its number, its store, the shared limiter, its events.

    Attributes:
        stopped: the error that every further file would meet, once one was met.
        history: what this and an interrupted run of the same directory have committed.
    """

    number: int
    store: ObjectStore
    config: UploadConfig
    limiter: Limiter
    reader: SmallFileReader
    events: Channel
    store_state: StoreState
    journal: Journal | None = None
    content_type: str | None = None
    stopped: StoreError | None = None
    history: History = field(default_factory=History)
    _retried: dict[int, int] = field(default_factory=dict)
    _rng: random.Random = field(default_factory=random.Random)

    @property
    def limits(self) -> StoreLimits:
        """What the store takes, as far as is known by now."""
        return self.store_state.limits(self.store.limits)

    def place(self, key: str) -> Place:
        """Return where the object of this key is."""
        return Place(self.store.endpoint, self.store.bucket, key)

    async def emit(
        self, kind: Callable[..., Event], job: FileJob | None = None, **fields: object
    ) -> None:
        """Emit an event of this call, of `job` if it is a file's; `fields` are the rest."""
        await self.events.emit(self._event(kind, job, fields))

    def offer(self, kind: Callable[..., Event], job: FileJob, **fields: object) -> None:
        """Emit an event that may be dropped where consumers fall behind."""
        self.events.offer(self._event(kind, job, fields))

    def _event(
        self, kind: Callable[..., Event], job: FileJob | None, fields: dict[str, object]
    ) -> Event:
        if job is not None:
            fields["file"] = job.file
            if kind not in PART_EVENTS:
                fields["name"], fields["key"] = job.name, job.key
                fields.setdefault("size", job.size)
        return kind(call=self.number, at=time.monotonic(), **fields)

    async def warn(self, code: str, *, once: bool = False, **params: Param) -> None:
        """Warn the user of what is not fatal; with `once`, one time per Uploader."""
        if once and code in self.store_state.warned:
            return
        self.store_state.warned.add(code)
        await self.emit(Warned, code=code, params=params)

    async def request(
        self,
        job: FileJob,
        operation: str,
        attempt: Callable[[], Awaitable[T]],
        *,
        size: int | None = None,
        part: int | None = None,
    ) -> T:
        """Make a request: a limiter token, then the attempt; after a failure the retry policy.

        The token is given back while waiting to try again. `size` is the body's, in bytes, None for
        no body.

        Raises:
            S3UploaderError: what the last attempt raised.
        """
        for number in itertools.count(1):
            try:
                return await self.attempt(attempt, size=size)
            except (StoreError, IntegrityError) as error:
                failure = error
            delay = self.delay(job, failure, number)
            if delay is None:
                # Lacked by each attempt, in the end with nothing else in flight: by each file too.
                if isinstance(failure, ResourceError):
                    failure.fatal = True
                raise failure
            await self.back_off(job, operation, number, failure, delay, part=part)
        raise AssertionError("unreachable: the loop has no end")

    async def attempt(self, attempt: Callable[[], Awaitable[T]], *, size: int | None = None) -> T:
        """Make one attempt under a token of the limiter, which learns how it went."""
        token = await self.limiter.acquire(size)
        began = time.monotonic()
        try:
            result = await attempt()
        except (StoreError, IntegrityError) as error:
            self.limiter.failed(error)
            if getattr(error, "status", None) and error.code != "store.bad_response":
                self.store_state.answered = True
            raise
        except Exception as error:
            shortage = shortage_of(error)
            if shortage is None:
                raise
            self.limiter.failed(shortage)
            raise shortage from error
        else:
            self.limiter.succeeded(size, began)
            self.store_state.answered = True
            return result
        finally:
            self.limiter.release(token)

    def delay(self, job: FileJob, error: S3UploaderError, number: int) -> float | None:
        """Return the seconds to wait after failed attempt `number`, None if it was the last.

        A file has retries for each of its requests, and for all together.
        """
        retried = self._retried.get(job.file, 0)
        if retried >= retries_of(job.size, self.limits.part_size, self.config.max_attempts):
            return None
        policy = RetryPolicy.of(self.config)
        delay = policy.delay(error, number, reached=self.store_state.answered, rng=self._rng)
        if delay is not None:
            self._retried[job.file] = retried + 1
        return delay

    async def back_off(
        self,
        job: FileJob,
        operation: str,
        number: int,
        error: S3UploaderError,
        delay: float,
        *,
        part: int | None = None,
    ) -> None:
        """Tell that attempt `number` failed, and wait before the next."""
        await self.emit(
            RequestRetried,
            job,
            operation=operation,
            part=part,
            attempt=number,
            delay=delay,
            code=error.code,
            params=error.params,
        )
        await anyio.sleep(delay)
