"""A file in parts: resumed where an earlier upload stopped, sent, published."""

from dataclasses import replace
from functools import partial

import anyio

from s3_uploader.checksums import Checksum, Digests, composite_etag, expected_etag
from s3_uploader.engine.job import FileJob
from s3_uploader.engine.journal import SentPart
from s3_uploader.engine.outcome import Completion, Content, PartsLostError, Published
from s3_uploader.engine.outcome.proof import prove
from s3_uploader.engine.transfer.create import create
from s3_uploader.engine.transfer.multipart import multipart_upload
from s3_uploader.engine.transfer.resume import find_resumable
from s3_uploader.engine.transfer.stored import StoredFile, weakest
from s3_uploader.engine.upload import Upload
from s3_uploader.engine.work import run_workers
from s3_uploader.errors import S3UploaderError, StoreError
from s3_uploader.events import Evidence
from s3_uploader.plan import Part, PartPlan, plan_parts
from s3_uploader.store import Receipt

_RESENDS = 2
"""Times that parts the store has lost are sent again."""


async def put_parts(job: FileJob) -> StoredFile:
    """Upload a file in parts.

    Raises:
        S3UploaderError: what could not be done; the upload is then kept for later or aborted.
    """
    found = await find_resumable(job)
    if found is not None and found.published is not None:
        stored = await _already_published(job, found.upload, found.published)
        if stored is not None:
            return stored
        found = None
    if found is not None:
        try:
            async with multipart_upload(job, found.upload):
                return await _send_and_publish(job, found.upload)
        except StoreError as error:
            if error.code != "store.no_such_upload":
                raise
            # The upload vanished between ListParts and now: start over.
    call = job.call
    part_size = plan_parts(job.size, call.tuning.part_size, call.limits).part_size
    options = replace(job.options, checksum=call.digests.checksum)
    upload = await create(job, part_size, options)
    async with multipart_upload(job, upload):
        return await _send_and_publish(job, upload)


async def _already_published(
    job: FileJob, upload: Upload, published: Published
) -> StoredFile | None:
    """Return the object an interrupted upload had completed, if its parts are the file's bytes."""
    parts = _Parts(job, upload)
    async with multipart_upload(job, upload):
        await parts.ensure(sending=False)
        await job.source.check()
    if len(parts.sent) < parts.plan.count:
        return None
    sent = [parts.sent[part.number] for part in parts.plan]
    evidence = [part.verified_by for part in sent]
    if published.by not in {"composite", "whole"}:
        evidence.append("size")
    return StoredFile(published.etag, len(sent), weakest(evidence), job.size)


async def _send_and_publish(job: FileJob, upload: Upload) -> StoredFile:
    parts = _Parts(job, upload)
    for resends in reversed(range(_RESENDS + 1)):
        await parts.ensure()
        await job.source.check()
        sent = [parts.sent[part.number] for part in parts.plan]
        if job.journal is not None:
            # If we are killed after the commit, the journalled parts prove the object is ours.
            await job.journal.flush()
        algorithm = parts.digests.checksum
        pieces = ((part.checksum, part.size) for part in sent)
        checksum = algorithm.combined(pieces) if algorithm is not None else None
        content = Content(job, expected_etag([part.etag for part in sent]), upload.token)
        completion = Completion(job, upload, content, sent, checksum, resends=resends > 0)
        try:
            published = await completion.publish()
        except PartsLostError as lost:
            parts.forget(lost.numbers)
            continue
        verified = _proven(job, published, sent, checksum)
        return StoredFile(
            published.etag,
            len(sent),
            verified,
            parts.reused,
            claimed=published.by == "response" and verified in {"size", "none"},
            content=content,
        )
    raise AssertionError("unreachable: the last round raises another error")


def _proven(
    job: FileJob, published: Published, sent: list[SentPart], checksum: Checksum | None
) -> Evidence:
    """Return what proves a published object of these parts.

    With a checksum that is the whole object's own, where the response to Complete carries it. Else
    the MD5 of the whole, which some stores return. Else the composite ETag: the store makes it from
    the ETags it gave to the parts as it proved them, so an object that has it is made of these very
    parts, and is proven as the weakest of them is. Failing that, only the size is.

    Raises:
        IntegrityError: as `prove`.
    """
    integrity = job.call.config.integrity
    receipt = Receipt(published.etag, published.opaque, published.checksums)
    if checksum is not None and receipt.checksum(checksum.algorithm):
        return prove(receipt, "", integrity, job.key, checksum)
    if integrity == "off":
        return "none"
    if published.by == "whole":
        return "etag-md5"
    least = weakest(part.verified_by for part in sent)
    if published.by == "composite" and (least == "etag-md5" or integrity != "md5"):
        return least
    expected = composite_etag(part.md5 for part in sent) if least == "etag-md5" else ""
    if published.by == "token":
        receipt = Receipt(published.etag, opaque=True)
    return prove(receipt, expected, integrity, job.key)


class _Parts:
    """The parts of one upload: those the store has, and the sending of the others.

    Attributes:
        plan: all parts.
        digests: what is computed of each.
        sent: the parts the store has, by number.
        reused: bytes that it had before.
    """

    def __init__(self, job: FileJob, upload: Upload) -> None:
        wanted = job.call.digests
        self.plan = PartPlan(job.size, upload.part_size)
        self.digests = wanted
        if wanted.checksum is not upload.algorithm:
            # The upload was created for other checksums: MD5 has to prove what is left to send.
            self.digests = Digests(md5=wanted.md5 or wanted.checksum is not None)
        self.sent: dict[int, SentPart] = {}
        self.reused = 0
        self._job = job
        self._upload = upload
        self._held = dict(upload.known)
        self._reused: dict[int, int] = {}

    def forget(self, numbers: frozenset[int]) -> None:
        """Forget parts that the store no longer has."""
        for number in numbers:
            self.sent.pop(number, None)
            self._held.pop(number, None)
            self.reused -= self._reused.pop(number, 0)

    async def ensure(self, *, sending: bool = True) -> None:
        """Send every part that the store does not hold; without `sending` only compare.

        Workers share one iterator over the parts; the first failure ends them all.
        """
        failures: list[S3UploaderError] = []
        missing = iter([part for part in self.plan if part.number not in self.sent])

        async def next_part() -> Part | None:
            return None if failures else next(missing, None)

        with anyio.CancelScope() as scope:

            async def ensure_part(part: Part) -> None:
                try:
                    if not await self._reuse(part) and sending:
                        await self._send(part)
                except S3UploaderError as error:
                    failures.append(error)
                    scope.cancel()

            await run_workers(next_part, ensure_part, self._job.call.limiter)
        if failures:
            raise failures[0]

    async def _reuse(self, part: Part) -> bool:
        """Take a part the store holds, if the file's bytes hash to what it says now."""
        job, held = self._job, self._held.get(part.number)
        if held is None or held.size != part.size:
            return False
        digests = Digests(md5=True, checksum=self.digests.checksum)
        body = job.source.body(part.offset, part.size, digests)
        md5 = await body.hash()
        await body.prepare()
        by_etag = held.etag.lower() == md5
        by_md5 = held.md5 == md5
        by_checksum = held.checksum is not None and held.checksum == body.checksum
        if not (by_etag or by_md5 or by_checksum):
            return False
        verified: Evidence = "etag-md5" if by_etag else "size"
        if job.call.config.integrity == "off":
            verified = "none"
        self._add(SentPart(part.number, part.size, md5, held.etag, verified, body.checksum))
        self._reused[part.number] = part.size
        self.reused += part.size
        await job.report_reused(part.number, part.size)
        return True

    async def _send(self, part: Part) -> None:
        job, call = self._job, self._job.call
        progress = partial(job.report_progress, part.number)
        body = job.source.body(part.offset, part.size, self.digests, progress)

        async def attempt() -> SentPart:
            await body.prepare(md5=call.store_state.content_md5)
            try:
                receipt = await call.store.upload_part(
                    job.key, self._upload.upload_id, part.number, body
                )
            except StoreError as error:
                raise call.store_state.demanded(error, body) from error
            checksum = body.checksum
            verified = prove(receipt, body.md5, call.config.integrity, job.key, checksum)
            return SentPart(part.number, part.size, body.md5, receipt.etag, verified, checksum)

        self._add(await job.request("UploadPart", attempt, size=part.size, part=part.number))

    def _add(self, sent: SentPart) -> None:
        self.sent[sent.number] = sent
        if self._job.journal is not None and self._upload.row:
            self._job.journal.add_part(self._upload.row, sent)
