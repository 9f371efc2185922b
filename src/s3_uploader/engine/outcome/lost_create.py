"""Lost Creates: multipart uploads that may be open, and whose upload ids never arrived.

Each Create has a row in the journal before it is sent. One that failed and may have taken effect
leaves its row behind, without an id, until a listing shows the upload; or shows, late enough, that
there is none; or it is given up.

The S3 protocol shows no metadata in a listing. Taken for the work of a lost Create is an open
upload of exactly its key that no row of the journal names, that holds no part, and that began while
the Create was in flight. And only if there are no more of them than lost Creates, and no other row
of the key waits for its id: it may be that one's.
"""

import time
from collections.abc import Collection, Iterable
from dataclasses import replace
from datetime import UTC, datetime
from typing import NamedTuple

import anyio

from s3_uploader.engine.call import Call
from s3_uploader.engine.journal import Journal, UploadRecord
from s3_uploader.errors import StoreError
from s3_uploader.store import UploadInfo

_CLOCKS_APART = 60.0
"""Seconds the store's clock may differ from ours for an upload without an owner to be ours."""

_LISTED_AFTER = 60.0
"""Seconds after which a listing shows what a Create has made: some lag behind, and a gateway may
hand on a request after it has given up on it."""

_GIVEN_UP_AFTER = 7 * 24 * 3600.0
"""Seconds after which a lost Create is no longer looked for where no listing has shown it."""

_LOOK_SECONDS = 10.0
_CLAIM_SECONDS = 3.5


async def find_lost(
    call: Call,
    key: str,
    *,
    refused: Collection[int] = (),
    listed: list[UploadInfo] | None = None,
) -> list[UploadRecord]:
    """Look for what lost Creates of this key have made; return what is found, with its id.

    The rows returned are the caller's, to release or forget. The others wait on, unless the listing
    shows that there is nothing.

    Args:
        call: its store is asked, and its journal remembers.
        key: object key.
        refused: rows of Creates that the store said it would not serve: true nearly always, so a
            listing that shows nothing settles these at once.
        listed: the open uploads of at least this key; None to ask for them.
    """
    lost: list[UploadRecord] = []
    if call.journal is not None:
        with anyio.move_on_after(_CLAIM_SECONDS, shield=True):
            lost = await call.journal.claim_lost(call.place(key))
    return await look_for(call, lost, refused=refused, listed=listed)


async def look_for(
    call: Call,
    lost: list[UploadRecord],
    *,
    refused: Collection[int] = (),
    listed: list[UploadInfo] | None = None,
) -> list[UploadRecord]:
    """Do as `find_lost` for rows of one key that are claimed already; what waits on is released."""
    if not lost or call.journal is None:
        return []
    found: list[UploadRecord] = []
    try:
        found = await _look(call, call.journal, lost, refused, listed)
    finally:
        rows = {record.row for record in found}
        with anyio.move_on_after(_CLAIM_SECONDS, shield=True):
            for record in lost:
                if record.row not in rows:
                    await call.journal.release(record.row)
    return found


async def _look(
    call: Call,
    journal: Journal,
    lost: list[UploadRecord],
    refused: Collection[int],
    listed: list[UploadInfo] | None,
) -> list[UploadRecord]:
    seen = _Seen([], clear=False)
    with anyio.move_on_after(_LOOK_SECONDS):
        seen = await _see(call, lost, listed)
    found = paired(lost, seen.strays)
    for record in found:
        await journal.set_upload_id(record.row, record.upload_id)
    rows = {record.row for record in found}
    for record in lost:
        if record.row in rows:
            continue
        age = time.time() - record.begun
        if seen.clear and (record.row in refused or age > _LISTED_AFTER):
            await journal.forget(record.row)
        elif age > _GIVEN_UP_AFTER:
            begun = datetime.fromtimestamp(record.begun, UTC).isoformat(" ", "seconds")
            await call.warn("upload.lost_create", key=record.key, at=begun)
            await journal.forget(record.row)
    return found


def paired(lost: Iterable[UploadRecord], strays: Iterable[UploadInfo]) -> list[UploadRecord]:
    """Give each stray to the Create that was sent closest to its beginning."""
    left = list(lost)
    found: list[UploadRecord] = []
    for stray in sorted(strays, key=lambda stray: stray.initiated):
        closest = min(left, key=lambda record: abs(record.begun - stray.initiated))
        left.remove(closest)
        found.append(replace(closest, upload_id=stray.upload_id))
    return found


class _Seen(NamedTuple):
    """What a listing shows: what can only be the work of the lost Creates, and whether that is all.

    Not `clear` is one with empty uploads of another time as well: the clocks may be that far apart.
    """

    strays: list[UploadInfo]
    clear: bool


async def _see(call: Call, lost: list[UploadRecord], listed: list[UploadInfo] | None) -> _Seen:
    unclear = _Seen([], clear=False)
    key, rows = lost[0].key, {record.row for record in lost}
    try:
        if listed is None:
            listed = await call.store.list_multipart_uploads(key)
        # Asked after the listing: each upload in it that is ours has a row by now.
        known = await known_ids(call, key, but=rows)
        if "" in known or (call.journal is not None and call.journal.error):
            return unclear
        unnamed = [
            upload
            for upload in listed
            if upload.key == key and upload.upload_id not in known and await _is_empty(call, upload)
        ]
    except StoreError:
        return unclear
    strays = [
        upload for upload in unnamed if any(_began_with(call, upload, record) for record in lost)
    ]
    if len(strays) > len(lost):
        return unclear
    return _Seen(strays, clear=len(strays) == len(unnamed))


def _began_with(call: Call, upload: UploadInfo, record: UploadRecord) -> bool:
    """Return whether the upload began while the Create may have been in flight."""
    longest = call.config.response_timeout + _CLOCKS_APART
    return -_CLOCKS_APART < upload.initiated - record.begun < longest


async def _is_empty(call: Call, upload: UploadInfo) -> bool:
    try:
        return not await call.store.list_parts(upload.key, upload.upload_id)
    except StoreError as error:
        if error.code == "store.no_such_upload":
            # Completed or aborted meanwhile, so somebody knew its id.
            return False
        raise


async def known_ids(call: Call, key: str, *, but: Collection[int] = ()) -> set[str]:
    """Return the uploads of a key that the journal names, "" for one that waits for its id."""
    if call.journal is None:
        return set()
    records = await call.journal.uploads(call.store.endpoint, call.store.bucket, key)
    return {record.upload_id for record in records if record.key == key and record.row not in but}
