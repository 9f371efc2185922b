"""Complete a multipart upload, and find out whether it happened when no response says so.

CompleteMultipartUpload may take effect although its response is lost, is not the store's, or says
524, NoSuchUpload or InvalidPart. Then HEAD and ListParts show what is there, and `judge` decides.
"""

import itertools
import time
from dataclasses import dataclass, replace

import anyio

from s3_uploader.checksums import ALGORITHMS, Checksum
from s3_uploader.engine.job import FileJob
from s3_uploader.engine.journal import SentPart
from s3_uploader.engine.outcome.head import Content, Look, Published, budget, damaged, look
from s3_uploader.engine.outcome.judge import (
    CONSUMED,
    CompleteCase,
    UploadState,
    judge_complete,
    judge_failure,
    judge_response,
    may_have_committed,
)
from s3_uploader.engine.upload import Upload
from s3_uploader.errors import IntegrityError, OutcomeUnknownError, S3UploaderError, StoreError
from s3_uploader.sizes import GIB
from s3_uploader.store import CompletedPart, Receipt

_SHORTEST_POLL, _LONGEST_POLL = 0.05, 15.0
_DAMAGED = frozenset({"BadDigest", "XAmzContentChecksumMismatch"})


class PartsLostError(S3UploaderError):
    """The store misses parts it had taken: `numbers`."""

    def __init__(self, numbers: frozenset[int], key: str) -> None:
        super().__init__("store.parts_lost", count=len(numbers), key=key)
        self.numbers = numbers


@dataclass(slots=True)
class Completion:
    """The completion of one multipart upload.

    Attributes:
        job: the file.
        upload: the upload.
        content: distinguishes its object from others.
        parts: all of them, in order.
        checksum: the whole object's, None if unknown.
        resends: whether parts that the store has lost can be sent again.
    """

    job: FileJob
    upload: Upload
    content: Content
    parts: list[SentPart]
    checksum: Checksum | None = None
    resends: bool = False
    _until: float = 0.0
    _possible: bool = False
    _upload_state: UploadState = "unsure"

    async def publish(self) -> Published:
        """Complete the upload and return the object once it is known to be ours.

        Raises:
            IntegrityError: what is at the key is ours and has other content, or the store says so.
            PartsLostError: the store has lost parts; only where they can be sent again.
            OutcomeUnknownError: nothing showed, within the time allowed, whether it was published.
            StoreError: it was not published.
        """
        job = self.job
        for number in itertools.count(1):
            try:
                receipt = await job.call.attempt(self._complete)
            except StoreError as error:
                failure = error
            else:
                return await self._confirm(receipt)
            delay = self._record(failure, number)
            found = await self._resolve(failure, delay)
            if found is not None:
                return found
            if delay is not None:
                await job.back_off("CompleteMultipartUpload", number, failure, delay)
        raise AssertionError("unreachable: the loop has no end")

    async def _complete(self) -> Receipt:
        job, checksum = self.job, self.checksum
        completed = [CompletedPart(part.number, part.etag) for part in self.parts]
        try:
            return await job.call.store.complete_multipart_upload(
                job.key, self.upload.upload_id, completed, checksum
            )
        except StoreError as error:
            if checksum is not None and error.s3_code in _DAMAGED:
                # Nothing is published, and asking again meets the same parts.
                raise IntegrityError(
                    "integrity.parts",
                    key=job.key,
                    algorithm=ALGORITHMS[checksum.algorithm].title,
                    expected=checksum.value,
                ) from error
            raise

    def _record(self, failure: StoreError, number: int) -> float | None:
        """Take failed attempt `number` into account; return the delay, None if it was the last."""
        self._until = self._until or time.monotonic() + budget(self.job)
        consumed = failure.s3_code in CONSUMED
        if not (failure.retryable or consumed):
            return None
        self._possible |= consumed or may_have_committed(failure)
        return self.job.delay(failure.as_retryable(), number)

    async def _resolve(self, failure: StoreError, delay: float | None) -> Published | None:
        """Return the object if a Complete took effect, None if it is to be tried again.

        Raises:
            S3UploaderError: as `publish`.
        """
        step = judge_failure(failure, self._case(delay))
        if step == "list":
            await self._list(resends=self.resends and failure.s3_code in CONSUMED)
            step = "look"
        until = self._time_to_look(delay)
        pause = _SHORTEST_POLL
        seen = Look("unseen")
        while step in {"look", "list"}:
            listed = step == "list"
            if listed:
                await self._list()
            else:
                seen = await look(self.job, self.content)
            left = until - time.monotonic()
            step = judge_complete(
                self._case(delay), seen.likeness, listed=listed, time_left=left > 0
            )
            if step == "look":
                await anyio.sleep(min(pause, left))
                pause = min(2 * pause, _LONGEST_POLL)
        if step == "damaged" and seen.info is not None:
            raise damaged(self.job, self.content, seen.info)
        if step == "failed":
            raise failure
        if step == "unknown":
            raise OutcomeUnknownError.of(self.job.key, failure)
        return seen.published if step == "committed" else None

    def _case(self, delay: float | None) -> CompleteCase:
        return CompleteCase(self._possible, delay is not None, self._upload_state)

    def _time_to_look(self, delay: float | None) -> float:
        """Return until when to look: as long as only HEAD can show it, else for a while."""
        if delay is not None and self._upload_state != "gone":
            quirks = self.job.call.store.provider.quirks
            merging = quirks.merge_seconds_per_gib * self.job.size / GIB
            return min(self._until, time.monotonic() + merging)
        return self._until if self._possible else 0.0

    async def _list(self, *, resends: bool = False) -> None:
        """Find out whether the upload is really consumed.

        Raises:
            PartsLostError: it is open, and parts are missing or not those that were sent; only
                with `resends`.
        """
        job = self.job
        self._upload_state = "unsure"
        try:
            stored = await job.call.attempt(
                lambda: job.call.store.list_parts(job.key, self.upload.upload_id)
            )
        except StoreError as error:
            if error.code == "store.no_such_upload":
                self._upload_state = "gone"
            return
        # An empty listing is what some stores give for an upload they no longer know.
        self._upload_state = "open" if stored else "gone"
        held = {(part.number, part.size, part.etag.lower()) for part in stored}
        lost = frozenset(
            part.number
            for part in self.parts
            if (part.number, part.size, part.etag.lower()) not in held
        )
        if stored and lost and resends:
            raise PartsLostError(lost, job.key)

    async def _confirm(self, receipt: Receipt) -> Published:
        """Return the object a response names, or HEAD's where its ETag is not what was sent."""
        job, content = self.job, self.content
        etag, checksums = receipt.etag.lower(), receipt.checksums
        named = Published(receipt.etag, "response", receipt.opaque, checksums)
        if etag and etag == content.composite and not receipt.opaque:
            return replace(named, by="composite")
        if not content.composite or receipt.opaque:
            return named
        if await content.is_whole(etag):
            return replace(named, by="whole")
        until = time.monotonic() + budget(job)
        pauses = job.call.store.provider.quirks.mismatch_pauses
        for pause in itertools.chain(pauses, itertools.repeat(pauses[-1])):
            seen = await look(job, content)
            step = judge_response(
                seen.likeness, settled=pause == pauses[-1], time_left=time.monotonic() < until
            )
            if step == "committed" and seen.published is not None:
                return replace(seen.published, checksums=checksums)
            if step == "damaged" and seen.info is not None:
                raise damaged(job, content, seen.info)
            if step == "as told":
                break
            if step == "unknown":
                # It says that it has published, and does not show what.
                etags = {"actual": receipt.etag, "expected": content.composite}
                cause = IntegrityError("integrity.etag", key=job.key, **etags)
                raise OutcomeUnknownError.of(job.key, cause)
            await anyio.sleep(pause)
        return named
