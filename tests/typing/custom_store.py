"""A store of a user's own, and one around another; checked, never run."""

from collections.abc import AsyncIterator
from typing import assert_type

from s3_uploader import StoreError, Uploader
from s3_uploader.store import ObjectInfo, ObjectStore
from s3_uploader.testing import FaultProxy, LocalS3Server, MemoryStore


class ForgetfulStore(MemoryStore):
    async def head_object(self, key: str) -> ObjectInfo:
        info = await super().head_object(key)
        if key.startswith("secret/"):
            raise StoreError("store.not_found", key=key)
        return ObjectInfo(key=info.key, size=None, etag=info.etag, metadata={})

    async def get_object(
        self, key: str, *, offset: int = 0, size: int | None = None, etag: str = ""
    ) -> AsyncIterator[bytes]:
        async for block in super().get_object(key, offset=offset, size=size, etag=etag):
            assert_type(block, bytes)
            yield block


async def size_at(store: ObjectStore, key: str) -> int | None:
    return (await store.head_object(key)).size


async def upload() -> dict[str, str]:
    store: ObjectStore = ForgetfulStore()
    async with Uploader(store=store) as uploader:
        await uploader.upload_file("model.bin")
    assert_type(await size_at(store, "model.bin"), int | None)
    with LocalS3Server(tls=True) as server, FaultProxy(server, ["PutObject:503"]) as proxy:
        return {**server.environ(), "RUNPOD_S3_ENDPOINT_URL": proxy.url}
