"""Outcomes that could not be determined."""

from pathlib import Path

import pytest

from s3_uploader import StoreError, UploadConfig, Uploader
from s3_uploader.testing import MemoryStore
from s3_uploader.testing.hooked import TINY, HookedStore, Moment
from trees import make_tree

pytestmark = pytest.mark.anyio

_CONFIG = UploadConfig(backoff_base=0, max_attempts=1, outcome_timeout=0)
_LOST = {"PutObject", "CompleteMultipartUpload", "HeadObject"}
_BUSY = StoreError("store.busy", status=504, retryable=True, operation="Put", key="k", detail="-")


@pytest.mark.parametrize("size", [10, 4_500])
async def test_an_unknown_outcome_names_its_cause_in_the_language_of_the_log(
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
