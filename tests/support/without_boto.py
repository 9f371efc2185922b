"""A process that has no aioboto3: runs the command of its command line, and prints the result.

    python without_boto.py serve <folder> <key prefix>     all that the wire lane serves
    python without_boto.py refuse <case>                   what only aioboto3 can serve

The store is the default profile's, by environment.
"""

import asyncio
import hashlib
import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from importlib.abc import MetaPathFinder
from pathlib import Path
from typing import Any

import anyio
from anyio import to_thread

from s3_uploader import S3UploaderError, UploadConfig, Uploader, load_profile
from s3_uploader.events import Event, PartReused
from s3_uploader.sizes import MIB
from s3_uploader.store import ObjectStore
from s3_uploader.store.open import open_store
from s3_uploader.testing import FaultProxy
from scripted_server import ReceivedRequest, ScriptedServer, response, scripted_server

_ABSENT = {"aioboto3", "aiobotocore", "aiohttp", "boto3", "botocore", "multidict", "yarl"}
_PART = 5 * MIB


class Absent(MetaPathFinder):
    """Finds nothing of aioboto3, as if it and what comes with it were not installed."""

    def find_spec(self, name: str, *_: object) -> None:
        if name.partition(".")[0] in _ABSENT:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


def _config(folder: str, **settings: Any) -> UploadConfig:
    return replace(
        UploadConfig.load(load_profile()),
        part_size=_PART,
        multipart_threshold=_PART,
        max_requests=1,
        on_cancel="keep",
        journal=os.path.join(folder, "journal.db"),
        **settings,
    )


async def serve(folder: str, prefix: str) -> dict[str, Any]:
    """Upload a small and a large file, resume, verify; read, list, copy and delete."""
    small, large = Path(folder, "small"), Path(folder, "large")
    found: dict[str, Any] = {}
    profile = load_profile()
    with FaultProxy(profile.endpoint_url, ["UploadPart:stall:part=3:times=1"]) as proxy:
        async with Uploader(proxy.profile(profile), config=_config(folder)) as uploader:
            found["small"] = (await uploader.upload_file(small, f"{prefix}/s")).status
            found["resumed"] = await _resume(uploader, proxy, large, f"{prefix}/l")
            found["pending"] = len(await uploader.pending_uploads(prefix, foreign=True))
            for path, key in ((small, "s"), (large, "l"), (large, "s"), (small, "none")):
                verified = await uploader.verify_file(path, f"{prefix}/{key}")
                found[f"{path.name} is {key}"] = verified.result
    async with open_store(profile, _config(folder)) as store:
        found |= await _use(store, prefix)
        found["lane"] = store.lane
    return found


async def _resume(uploader: Uploader, proxy: FaultProxy, path: Path, key: str) -> list[int]:
    """Cancel an upload at its last part and do it again; return which parts were not sent again."""
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(uploader.upload_file, path, key)
        await to_thread.run_sync(proxy.wait_for, "UploadPart", 3)
        tasks.cancel_scope.cancel()
    events: list[Event] = []
    (await uploader.upload_file(path, key, consumers=[events.append])).raise_for_failure()
    return sorted(event.part for event in events if isinstance(event, PartReused))


async def _use(store: ObjectStore, prefix: str) -> dict[str, Any]:
    info = await store.head_object(f"{prefix}/l")
    whole = [block async for block in store.get_object(f"{prefix}/l")]
    ranged = store.get_object(f"{prefix}/l", offset=7, size=_PART, etag=info.etag)
    part = [block async for block in ranged]
    await store.copy_object(f"{prefix}/s", f"{prefix}/c d")
    listed = await _listed(store, prefix)
    for key in listed:
        await store.delete_object(f"{prefix}/{key}")
    digests = [hashlib.sha256(b"".join(blocks)).hexdigest() for blocks in (whole, part)]
    return {"read": digests, "listed": listed, "left": await _listed(store, prefix)}


async def _listed(store: ObjectStore, prefix: str) -> list[str]:
    pages = [page async for page in store.list_objects(f"{prefix}/")]
    return [found.key.removeprefix(f"{prefix}/") for page in pages for found in page.objects]


async def refuse(case: str) -> dict[str, Any]:
    """Upload a directory where only aioboto3 can: return how it failed, and the requests made."""
    profile, config = load_profile(), UploadConfig(journal="off", max_requests=2)
    async with _corrected() as server:
        if case == "proxy":
            os.environ["HTTP_PROXY"] = "http://user:5ecret@127.0.0.1:9"
        elif case == "region":
            profile = replace(profile, endpoint_url=server.url)
        elif case == "lane":
            config = replace(config, lane="boto")
        else:
            profile = replace(profile, access_key="", secret_key="", aws_profile="models")
        codes: set[str] = set()
        messages: set[str] = set()
        async with Uploader(profile, config=config) as uploader:
            try:
                report = await uploader.upload_directory(Path(__file__).parent, "p")
                codes |= {outcome.error for outcome in report.files}
                messages |= {outcome.message() for outcome in report.files}
            except S3UploaderError as error:
                codes.add(error.code)
                messages.add(str(error))
    return {"codes": sorted(codes), "messages": sorted(messages), "requests": len(server.requests)}


@asynccontextmanager
async def _corrected() -> AsyncIterator[ScriptedServer]:
    """Serve a store that names another region to whoever asks."""

    async def handle(_request: ReceivedRequest, writer: asyncio.StreamWriter) -> None:
        writer.write(response(status="301 Moved", etag="", x_amz_bucket_region="eu-1"))

    async with scripted_server(handle) as server:
        yield server


async def main(what: str, *arguments: str) -> None:
    work = serve(*arguments) if what == "serve" else refuse(*arguments)
    json.dump(await work, sys.stdout)


if __name__ == "__main__":
    assert _ABSENT.isdisjoint(sys.modules), "imported too early"
    sys.meta_path.insert(0, Absent())
    asyncio.run(main(*sys.argv[1:]))
