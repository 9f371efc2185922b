"""Outcomes that no response has settled, and those that a wrong ETag has."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from s3_uploader import StoreError, UploadConfig, Uploader
from s3_uploader.checksums import Checksum
from s3_uploader.store import CompletedPart, ObjectInfo, Receipt
from s3_uploader.testing import MemoryStore
from s3_uploader.testing.hooked import TINY, HookedStore, Moment, do_nothing
from trees import make_tree

pytestmark = pytest.mark.anyio

_CONFIG = UploadConfig(backoff_base=0, max_attempts=1, outcome_timeout=0)
_SOON = UploadConfig(backoff_base=0, max_attempts=3, outcome_timeout=0.2)
_WRONG_ETAG = "0123456789abcdef0123456789abcdef-5"
_LOST = {"PutObject", "CompleteMultipartUpload", "HeadObject"}
_BUSY = StoreError("store.busy", status=504, retryable=True, operation="Put", key="k", detail="-")


@pytest.mark.parametrize("size", [10, 4_500])
async def test_unknown_outcome_names_its_cause_in_the_language_of_the_log(
    size: int, tmp_path: Path
) -> None:
    """Of an object that is sent with one request, and of one that is sent in parts."""
    make_tree(tmp_path, {"f": size})
    store = HookedStore(MemoryStore(provider=TINY))

    async def deaf(moment: Moment) -> None:
        if moment.operation in _LOST and moment.when == "after":
            raise _BUSY

    store.hook = deaf
    async with Uploader(store=store, config=_CONFIG) as uploader:
        outcome = await uploader.upload_file(tmp_path / "f", "k")
    assert outcome.status == "unknown"
    assert _BUSY.message("zh") in outcome.message("zh")
    assert str(_BUSY) not in outcome.message("zh")
    assert str(_BUSY) in outcome.message("en")


class _Contradicting(MemoryStore):
    """A store that damages the object it completes, and has an ETag of what it made of it."""

    async def complete_multipart_upload(
        self,
        key: str,
        upload_id: str,
        parts: Sequence[CompletedPart],
        checksum: Checksum | None = None,
    ) -> Receipt:
        await super().complete_multipart_upload(key, upload_id, parts, checksum)
        stored = self._objects[key]
        self._objects[key] = replace(stored, data=bytes(len(stored.data)))
        return Receipt(_WRONG_ETAG)

    async def head_object(self, key: str) -> ObjectInfo:
        return replace(await super().head_object(key), etag=_WRONG_ETAG)


async def test_contradicting_etag_is_a_failure(tmp_path: Path) -> None:
    """Even where the metadata of the object hold the token of our upload."""
    make_tree(tmp_path, {"f": 4_500})
    async with Uploader(store=_Contradicting(provider=TINY), config=_SOON) as uploader:
        outcome = await uploader.upload_file(tmp_path / "f", "k")
    assert outcome.status == "failed"
    assert outcome.error.startswith("integrity.")


async def test_resume_rejects_contradicting_etag(tmp_path: Path) -> None:
    """The first run gets no response to its Complete; the second finds the object."""
    make_tree(tmp_path, {"f": 4_500})
    config = replace(_SOON, journal=str(tmp_path / "journal.db"))
    store = HookedStore(_Contradicting(provider=TINY))

    async def lose_responses(moment: Moment) -> None:
        if moment.operation in {"CompleteMultipartUpload", "HeadObject"} and moment.when == "after":
            raise StoreError("store.busy", status=504, retryable=True)

    store.hook = lose_responses
    for expected in ("unknown", "failed"):
        async with Uploader(store=store, config=config) as uploader:
            outcome = await uploader.upload_file(tmp_path / "f", "k")
        assert outcome.status == expected
        store.hook = do_nothing
