"""An interrupted upload is resumed only for an object that would be created alike."""

from pathlib import Path

import pytest

from s3_uploader import UploadConfig, Uploader
from s3_uploader.events import Event, PartReused
from s3_uploader.store import PutOptions
from s3_uploader.testing.hooked import HookedStore, do_nothing, fail_with
from trees import make_tree

pytestmark = pytest.mark.anyio


class CreatedStore(HookedStore):
    """Keeps the Content-Type of every multipart upload that is created."""

    def __init__(self) -> None:
        super().__init__()
        self.types: list[str] = []

    async def create_multipart_upload(self, key: str, options: PutOptions) -> str:
        self.types.append(options.content_type)
        return await super().create_multipart_upload(key, options)


@pytest.mark.parametrize(("second", "resumed"), [("a/first", True), ("b/second", False)])
async def test_upload_with_another_content_type_is_not_resumed(
    tmp_path: Path, second: str, *, resumed: bool
) -> None:
    make_tree(tmp_path, {"f": 4_500})
    data = (tmp_path / "f").read_bytes()
    store, events = CreatedStore(), list[Event]()
    config = UploadConfig(journal=str(tmp_path / "journal.db"), max_attempts=1, max_requests=1)
    store.hook = fail_with(500, "InternalError", operation="UploadPart", part=3)
    for content_type in ("a/first", second):
        async with Uploader(store=store, config=config) as uploader:
            outcome = await uploader.upload_file(
                tmp_path / "f", "key", consumers=[events.append], content_type=content_type
            )
        store.hook = do_nothing
    outcome.raise_for_failure()
    assert store.memory.objects == {"key": data}
    assert store.memory.uploads == {}
    assert store.types == ["a/first"] + ([] if resumed else [second])
    assert bool([event for event in events if isinstance(event, PartReused)]) is resumed
