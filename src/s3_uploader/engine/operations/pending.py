"""List and abort interrupted multipart uploads; never anyone else's unless told to."""

from dataclasses import dataclass

from s3_uploader.engine.call import Call
from s3_uploader.engine.journal import UploadRecord
from s3_uploader.engine.outcome.lost_create import find_lost
from s3_uploader.engine.transfer.multipart import abort
from s3_uploader.errors import StoreError, UploadFailedError


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingUpload:
    """A multipart upload that is neither completed nor aborted.

    Attributes:
        key, upload_id: how the store identifies it.
        ours: whether it is in the journal. Others are listed only on request.
        path: the local file, "" if it is not in the journal.
        size: bytes of that file; `sent` of them are at the store, as far as the journal knows.
        begun: start of the upload, in seconds since 1970.
        active: whether a call is working on it now, in this process or another.
    """

    key: str
    upload_id: str
    ours: bool
    path: str = ""
    size: int = 0
    sent: int = 0
    begun: float = 0.0
    active: bool = False


async def pending(call: Call, prefix: str, *, foreign: bool) -> list[PendingUpload]:
    """List the open uploads whose key begins with `prefix`, newest first.

    These are the journal's, and with `foreign` all others too.

    Raises:
        StoreError: the store cannot list, and `foreign` asks for what only it knows.
    """
    await _find_lost(call, prefix)
    found = [await _ours(call, record) for record in await _records(call, prefix)]
    if foreign:
        ids = {upload.upload_id for upload in found}
        found += [
            PendingUpload(
                key=upload.key, upload_id=upload.upload_id, ours=False, begun=upload.initiated
            )
            for upload in await call.store.list_multipart_uploads(prefix)
            if upload.upload_id not in ids
        ]
    return sorted(found, key=lambda upload: -upload.begun)


async def abort_pending(call: Call, key: str, upload_id: str, *, force: bool) -> bool:
    """Abort an open upload; return whether the store has discarded it.

    Raises:
        UploadFailedError: it is in progress, or not in the journal and `force` is not given.
    """
    for record in await _records(call, key):
        if (record.key, record.upload_id) == (key, upload_id) and call.journal is not None:
            if not await call.journal.claim_row(record.row):
                raise UploadFailedError("upload.active", key=key, upload_id=upload_id)
            gone = await abort(call, key, upload_id)
            await (call.journal.forget if gone else call.journal.release)(record.row)
            return gone
    if not force:
        raise UploadFailedError("upload.foreign", key=key, upload_id=upload_id)
    return await abort(call, key, upload_id)


async def _records(call: Call, prefix: str) -> list[UploadRecord]:
    return [record for record in await _rows(call, prefix) if record.upload_id]


async def _rows(call: Call, prefix: str) -> list[UploadRecord]:
    if call.journal is None:
        return []
    return await call.journal.uploads(call.store.endpoint, call.store.bucket, prefix)


async def _find_lost(call: Call, prefix: str) -> None:
    """Look, with one listing, for the uploads whose Create was lost, and record their ids."""
    keys = {record.key for record in await _rows(call, prefix) if not record.upload_id}
    if not keys or call.journal is None:
        return
    try:
        listed = await call.store.list_multipart_uploads(prefix)
    except StoreError:
        return
    for key in sorted(keys):
        for record in await find_lost(call, key, listed=listed):
            await call.journal.release(record.row)


async def _ours(call: Call, record: UploadRecord) -> PendingUpload:
    active = False
    if call.journal is not None:
        active = not await call.journal.claim_row(record.row)
        if not active:
            await call.journal.release(record.row)
    return PendingUpload(
        key=record.key,
        upload_id=record.upload_id,
        ours=True,
        path=record.path,
        size=record.fingerprint.size,
        sent=sum(part.size for part in record.parts.values()),
        begun=record.begun,
        active=active,
    )
