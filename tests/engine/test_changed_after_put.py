"""A file that changes after its only PUT was stored, and its response lost, is not a failure."""

import os
from pathlib import Path
from typing import Any

import pytest

from s3_uploader import StoreError, UploadConfig, Uploader
from s3_uploader.config import Integrity
from s3_uploader.store import Receipt
from s3_uploader.testing import MemoryStore

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("attempts", [1, 3])
@pytest.mark.parametrize("integrity", ["md5", "crc64nvme"])
async def test_file_changed_after_its_put_took_effect_is_unknown(
    tmp_path: Path, integrity: Integrity, attempts: int
) -> None:
    path, data = tmp_path / "f", os.urandom(1_000_000)
    path.write_bytes(data)

    class Silent(MemoryStore):
        async def put_object(self, *args: Any) -> Receipt:
            await super().put_object(*args)
            path.write_bytes(os.urandom(1_000_000))
            raise StoreError("store.reset", retryable=True, detail="", endpoint="memory://")

    store = Silent()
    config = UploadConfig(integrity=integrity, max_attempts=attempts, backoff_base=0)
    async with Uploader(store=store, config=config) as uploader:
        outcome = await uploader.upload_file(path, "k")
    assert store.objects == {"k": data}
    assert (outcome.status, outcome.error) == ("unknown", "outcome.unknown")
