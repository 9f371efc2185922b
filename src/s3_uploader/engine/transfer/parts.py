"""A file in parts: taken up where an earlier upload stopped, sent, published."""

from dataclasses import dataclass

import anyio

from s3_uploader import to_thread
from s3_uploader.engine.call import Call, FileJob
from s3_uploader.engine.journal import SentPart
from s3_uploader.engine.outcome import Content, PartsLostError, Published, publish
from s3_uploader.engine.outcome.proof import composite_etag, expected_etag, prove
from s3_uploader.engine.transfer.multipart import create, ending
from s3_uploader.engine.transfer.resume import find_resumable
from s3_uploader.engine.upload import Upload
from s3_uploader.engine.work import run_workers
from s3_uploader.errors import S3UploaderError, StoreError
from s3_uploader.events import BytesSent, Evidence, PartReused
from s3_uploader.plan import Part, PartPlan, plan_parts
from s3_uploader.source import FileRange, Fingerprint, combined, recheck
from s3_uploader.store import Receipt

_RESENDS = 2
"""Times that parts the store has lost are sent again."""


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file the store holds; `reused` of its `size` bytes were there before.

    Attributes:
        claimed: nothing but the store's response says that it does.
        content: tells its object from others, where it was sent in parts.
        md5: the same, where it was not.
    """

    size: int
    etag: str
    parts: int
    verified_by: Evidence
    reused: int = 0
    claimed: bool = False
    content: Content | None = None
    md5: str = ""


async def put_parts(
    call: Call, job: FileJob, fingerprint: Fingerprint, content_type: str
) -> StoredFile:
    """Upload a file in parts.

    Raises:
        S3UploaderError: what could not be done; the upload is then kept for later or aborted.
    """
    found = await find_resumable(call, job, fingerprint)
    if found is not None and found.published is not None:
        done = await _published(call, job, fingerprint, found.upload, found.published)
        if done is not None:
            return done
        found = None
    if found is not None:
        try:
            async with ending(call, job, found.upload):
                return await _send_and_publish(call, job, fingerprint, found.upload)
        except StoreError as error:
            if error.code != "store.no_such_upload":
                raise
            # It is gone although it was not seen to be: begun afresh.
    limits = call.limits
    part_size = plan_parts(job.size, limits.part_size, limits).part_size
    upload = await create(call, job, fingerprint, part_size, content_type)
    async with ending(call, job, upload):
        return await _send_and_publish(call, job, fingerprint, upload)


def send_range(
    call: Call, job: FileJob, fingerprint: Fingerprint, part: Part, *, crc64nvme: bool
) -> FileRange:
    """Return a part of the file as a body that tells its progress; MD5 or `crc64nvme` proves it."""

    def progress(sent: int) -> None:
        call.offer(BytesSent, job, part=part.number, sent=sent)

    return FileRange(
        job.path,
        fingerprint,
        offset=part.offset,
        size=part.size,
        hashing=call.config.integrity != "off" and not crc64nvme,
        checksumming=crc64nvme,
        progress=progress,
    )


async def _published(
    call: Call, job: FileJob, fingerprint: Fingerprint, upload: Upload, published: Published
) -> StoredFile | None:
    """Return the object an interrupted upload had completed, if its parts are the file's bytes."""
    parts = _Parts(call, job, fingerprint, upload)
    async with ending(call, job, upload):
        await parts.send(sending=False)
        await to_thread.run_sync(recheck, job.path, fingerprint)
    if len(parts.sent) < parts.plan.count:
        return None
    sent = [parts.sent[part.number] for part in parts.plan]
    told = published.by in {"composite", "whole"}
    verified = (
        _weakest_evidence(sent)
        if told
        else min("size", _weakest_evidence(sent), key=_STRENGTH.index)
    )
    return StoredFile(job.size, published.etag, len(sent), verified, job.size)


async def _send_and_publish(
    call: Call, job: FileJob, fingerprint: Fingerprint, upload: Upload
) -> StoredFile:
    parts = _Parts(call, job, fingerprint, upload)
    for resends in reversed(range(_RESENDS + 1)):
        await parts.send()
        await to_thread.run_sync(recheck, job.path, fingerprint)
        sent = [parts.sent[part.number] for part in parts.plan]
        if call.journal is not None:
            # Should we die after the store has published, these tell that the object is ours.
            await call.journal.flush()
        crc = combined((part.crc64nvme, part.size) for part in sent) if parts.crc64nvme else ""
        composite = expected_etag([part.etag for part in sent])
        content = Content(job, fingerprint, composite, upload.token)
        try:
            published = await publish(
                call, job, upload, content, sent, resends=resends, crc64nvme=crc
            )
        except PartsLostError as lost:
            parts.lose(lost.numbers)
            continue
        verified = _proven(call, job, published, sent, crc)
        return StoredFile(
            job.size,
            published.etag,
            len(sent),
            verified,
            parts.reused,
            claimed=published.by == "response" and verified in {"size", "none"},
            content=content,
        )
    raise AssertionError("unreachable: the last round raises another error")


def _proven(
    call: Call, job: FileJob, published: Published, sent: list[SentPart], crc64nvme: str
) -> Evidence:
    """Return what proves a published object of these parts.

    With CRC-64/NVME that is the whole object's own, where the response to Complete carries it. Else
    the MD5 of the whole, which some stores answer. Else the composite ETag: the store makes it from
    the ETags it gave to the parts as it proved them, so an object that has it is made of these very
    parts, and is proven as the weakest of them is. Failing that, only the size is.

    Raises:
        IntegrityError: as `prove`.
    """
    integrity, key = call.config.integrity, job.key
    receipt = Receipt(published.etag, published.opaque, published.crc64nvme)
    if crc64nvme and receipt.crc64nvme:
        return prove(receipt, "", integrity, key, crc64nvme=crc64nvme)
    if integrity == "off":
        return "none"
    if published.by == "whole":
        return "etag-md5"
    weakest = _weakest_evidence(sent)
    if published.by == "composite" and (weakest == "etag-md5" or integrity != "md5"):
        return weakest
    expected = composite_etag(part.md5 for part in sent) if weakest == "etag-md5" else ""
    if published.by == "token":
        receipt = Receipt(published.etag, opaque=True)
    return prove(receipt, expected, integrity, key)


_STRENGTH: tuple[Evidence, ...] = ("none", "size", "crc64nvme", "etag-md5")


def _weakest_evidence(parts: list[SentPart]) -> Evidence:
    return min((part.verified_by for part in parts), key=_STRENGTH.index)


class _Parts:
    """The parts of one upload: those the store has, and the sending of the others."""

    def __init__(self, call: Call, job: FileJob, fingerprint: Fingerprint, upload: Upload) -> None:
        self.plan = PartPlan(job.size, upload.part_size)
        self.sent: dict[int, SentPart] = {}
        self.reused = 0
        self.crc64nvme = call.config.integrity == "crc64nvme" and upload.crc64nvme
        self._call = call
        self._job = job
        self._fingerprint = fingerprint
        self._upload = upload
        self._held = dict(upload.known)
        self._reused: dict[int, int] = {}

    def lose(self, numbers: frozenset[int]) -> None:
        """Forget parts that the store no longer has."""
        for number in numbers:
            self.sent.pop(number, None)
            self._held.pop(number, None)
            self.reused -= self._reused.pop(number, 0)

    async def send(self, *, sending: bool = True) -> None:
        """Bring every part to the store that is not there; without `sending` only compare.

        Workers share one iterator over the parts; the first failure ends them all.
        """
        failures: list[S3UploaderError] = []
        missing = iter([part for part in self.plan if part.number not in self.sent])

        async def take() -> Part | None:
            return None if failures else next(missing, None)

        with anyio.CancelScope() as scope:

            async def bring(part: Part) -> None:
                try:
                    if not await self._reuse(part) and sending:
                        await self._send(part)
                except S3UploaderError as error:
                    failures.append(error)
                    scope.cancel()

            await run_workers(take, bring, self._call.limiter)
        if failures:
            raise failures[0]

    async def _reuse(self, part: Part) -> bool:
        """Take a part the store holds, if the file's bytes hash to what it says now."""
        held = self._held.get(part.number)
        if held is None or held.size != part.size:
            return False
        body = FileRange(
            self._job.path,
            self._fingerprint,
            offset=part.offset,
            size=part.size,
            hashing=True,
            checksumming=self.crc64nvme,
        )
        md5 = await body.hash()
        await body.prepare()
        by_etag = held.etag.lower() == md5
        if not by_etag and (not held.md5 or held.md5 not in {md5, body.crc64nvme}):
            return False
        verified: Evidence = "etag-md5" if by_etag else "size"
        if self._call.config.integrity == "off":
            verified = "none"
        self._add(SentPart(part.number, part.size, md5, held.etag, verified, body.crc64nvme))
        self._reused[part.number] = part.size
        self.reused += part.size
        await self._call.emit(PartReused, self._job, part=part.number, size=part.size)
        return True

    async def _send(self, part: Part) -> None:
        call, job = self._call, self._job
        body = send_range(call, job, self._fingerprint, part, crc64nvme=self.crc64nvme)

        async def attempt() -> SentPart:
            await body.prepare(md5=call.store_state.content_md5)
            try:
                receipt = await call.store.upload_part(
                    job.key, self._upload.upload_id, part.number, body
                )
            except StoreError as error:
                raise call.store_state.demanded(error, body) from error
            crc = body.crc64nvme
            verified = prove(receipt, body.md5, call.config.integrity, job.key, crc64nvme=crc)
            return SentPart(part.number, part.size, body.md5, receipt.etag, verified, crc)

        self._add(await call.request(job, "UploadPart", attempt, size=part.size, part=part.number))

    def _add(self, sent: SentPart) -> None:
        self.sent[sent.number] = sent
        if self._call.journal is not None and self._upload.row:
            self._call.journal.add(self._upload.row, sent)
