"""What all files of one call share, and how an attempt of a request is made."""

import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import TypeVar

from s3_uploader.checksums import Digests
from s3_uploader.config import UploadConfig
from s3_uploader.engine.delivery.channel import Channel
from s3_uploader.engine.journal import Journal, Place
from s3_uploader.engine.journal.history import DirectoryRun
from s3_uploader.engine.pacing.limiter import Limiter
from s3_uploader.errors import IntegrityError, Param, StoreError
from s3_uploader.events import Event, Warned
from s3_uploader.providers import Limits, Tuning
from s3_uploader.shortage import shortage_of
from s3_uploader.source import SmallFileReader
from s3_uploader.store import Body, ObjectStore

T = TypeVar("T")


@dataclass(slots=True)
class StoreState:
    """What the store has shown so far; shared by all calls of an Uploader.

    Attributes:
        responded: whether it has ever responded.
        max_body: bytes of the largest body it takes, as far as it refused larger ones.
        bucket_exists: whether the bucket is known to exist.
        head_seen: whether a HEAD in a verification has ever said what is there, or that nothing is.
        content_md5: whether it demands Content-MD5 with every body.
        named_etag: the first ETag it named that is no digest.
        warned: the codes of warnings that are said once.
    """

    responded: bool = False
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

    def limits(self, known: Limits) -> Limits:
        """Return the limits with what was learned since."""
        largest = self.max_body
        if largest is None:
            return known
        return replace(
            known, max_part=min(known.max_part, largest), max_put=min(known.max_put, largest)
        )

    def tuning(self, known: Tuning) -> Tuning:
        """Return the tuning with what was learned since."""
        largest = self.max_body
        if largest is None:
            return known
        return replace(
            known,
            part_size=min(known.part_size, largest),
            multipart_threshold=min(known.multipart_threshold, largest),
        )


@dataclass(slots=True, kw_only=True)
class Call:
    """One call of an Uploader: its number, its store, the shared limiter, its events.

    Attributes:
        stopped: the error that every further file would meet, once one was met.
        directory_run: what this and an interrupted run of the same directory have committed.
        rng: source of the jitter.
        digests: what is computed of the bytes that are sent.
    """

    number: int
    store: ObjectStore
    config: UploadConfig
    limiter: Limiter
    reader: SmallFileReader
    events: Channel
    store_state: StoreState
    journal: Journal | None = None
    stopped: StoreError | None = None
    directory_run: DirectoryRun = field(default_factory=DirectoryRun)
    rng: random.Random = field(default_factory=random.Random)
    digests: Digests = field(init=False)

    def __post_init__(self) -> None:
        self.digests = self.config.digests

    @property
    def limits(self) -> Limits:
        """What the store takes, as far as is known by now."""
        return self.store_state.limits(self.store.provider.limits)

    @property
    def tuning(self) -> Tuning:
        """What suits the store, as far as is known by now."""
        return self.store_state.tuning(self.store.provider.tuning)

    def place(self, key: str) -> Place:
        """Return where the object of this key is."""
        return Place(self.store.endpoint, self.store.bucket, key)

    async def emit(self, kind: Callable[..., Event], **fields: object) -> None:
        """Emit an event of this call; `fields` are what only this event has."""
        await self.events.emit(kind(call=self.number, at=time.monotonic(), **fields))

    def offer(self, kind: Callable[..., Event], **fields: object) -> None:
        """Emit an event that may be dropped where consumers fall behind."""
        self.events.offer(kind(call=self.number, at=time.monotonic(), **fields))

    async def warn(self, code: str, *, once: bool = False, **params: Param) -> None:
        """Warn the user of what is not fatal; with `once`, one time per Uploader."""
        if once and code in self.store_state.warned:
            return
        self.store_state.warned.add(code)
        await self.emit(Warned, code=code, params=params)

    async def warn_if_journal_broken(self) -> None:
        """Warn, once per Uploader, if the journal cannot be used."""
        journal = self.journal
        if journal is not None and journal.error:
            code = "journal.refused" if journal.refused else "journal.unavailable"
            await self.warn(code, once=True, path=journal.path, reason=journal.error)

    async def attempt(self, attempt: Callable[[], Awaitable[T]], *, size: int | None = None) -> T:
        """Make one attempt under a token of the limiter, which learns how it went."""
        token = await self.limiter.acquire(size)
        began = time.monotonic()
        try:
            result = await attempt()
        except (StoreError, IntegrityError) as error:
            self.limiter.failed(error)
            if getattr(error, "status", None) and error.code != "store.bad_response":
                self.store_state.responded = True
            raise
        except Exception as error:
            shortage = shortage_of(error)
            if shortage is None:
                raise
            self.limiter.failed(shortage)
            raise shortage from error
        else:
            self.limiter.succeeded(size, began)
            self.store_state.responded = True
            return result
        finally:
            self.limiter.release(token)
