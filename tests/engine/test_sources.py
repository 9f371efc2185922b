"""What every source promises, and that the engine needs no more than that."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import anyio
import pytest

from s3_uploader import UploadConfig
from s3_uploader.checksums import CRC64NVME, Digests
from s3_uploader.checksums.md5 import md5_of
from s3_uploader.engine.call import Call, StoreState
from s3_uploader.engine.delivery.channel import dispatching
from s3_uploader.engine.job import FileJob
from s3_uploader.engine.journal import Journal
from s3_uploader.engine.pacing.limiter import Limiter
from s3_uploader.engine.transfer.file import upload
from s3_uploader.events import Event, FileUploaded
from s3_uploader.sizes import MIB
from s3_uploader.source import BytesSource, FileSource, SmallFileReader, Source, source_md5
from s3_uploader.store import FileBody
from s3_uploader.testing.hooked import TINY, Hook, HookedStore, Moment, do_nothing, fail_with
from s3_uploader.testing.memory import MemoryStore

pytestmark = pytest.mark.anyio

Make = Callable[[bytes], Source]


@pytest.fixture(params=["file", "bytes", "bytearray", "view"])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Make:
    def made(data: bytes) -> Source:
        if request.param == "file":
            (tmp_path / "f").write_bytes(data)
            return FileSource(str(tmp_path / "f"), SmallFileReader())
        if request.param == "view":
            return BytesSource(memoryview(b"x" + data)[1:])
        return BytesSource(data if request.param == "bytes" else bytearray(data))

    return made


@pytest.mark.parametrize("size", [0, 1, 100, 3_000_000])
async def test_body_is_its_range_however_often_it_is_read(make: Make, size: int) -> None:
    data = os.urandom(size)
    source = make(data)
    await source.open()
    assert source.size == size
    offset = size // 3
    wanted = data[offset : offset + size // 2]
    progress: list[int] = []
    digests = Digests(md5=True, checksum=CRC64NVME)
    body = source.body(offset, len(wanted), digests, progress.append)
    for _ in range(2):
        await body.prepare(md5=True)
        assert body.content_md5 == md5_of(wanted)
        assert body.checksum == CRC64NVME.of(wanted)
        assert b"".join([block async for block in body.chunks()]) == wanted
        assert body.md5 == md5_of(wanted)
        assert progress[-1:] == ([len(wanted)] if wanted else [])

    def read() -> bytes:
        return b"".join(bytes(block) for block in body.blocks(memoryview(bytearray(4096))))

    assert await anyio.to_thread.run_sync(read) == wanted
    assert body.md5 == await body.hash() == md5_of(wanted)
    assert await source_md5(source) == md5_of(data)
    await source.check()


@pytest.mark.parametrize("hashing", [False, True])
async def test_file_is_sent_a_block_at_a_time(tmp_path: Path, *, hashing: bool) -> None:
    """Read into the one buffer of a worker thread, or left to the kernel."""
    data, buffer = os.urandom(3 * MIB + 1), bytearray(64 * 1024)
    (tmp_path / "f").write_bytes(data)
    source = FileSource(str(tmp_path / "f"), SmallFileReader())
    await source.open()
    body = source.body(0, len(data), Digests(md5=hashing), lambda _sent: None)
    assert isinstance(body, FileBody)

    def blocks() -> Iterator[bytes]:
        for block in body.blocks(memoryview(buffer)):
            assert block.obj is buffer
            yield bytes(block)

    def spans() -> Iterator[bytes]:
        at_most = len(buffer) if hashing else MIB
        for span in body.spans(memoryview(buffer)):
            assert span.size <= at_most
            yield os.pread(span.descriptor, span.size, span.offset)

    for read in (blocks, spans):
        assert b"".join(await anyio.to_thread.run_sync(list, read())) == data
        assert body.md5 == (md5_of(data) if hashing else "")


@pytest.mark.parametrize("digests", [Digests(), Digests(md5=True), Digests(checksum=CRC64NVME)])
async def test_small_source_is_one_body(make: Make, digests: Digests) -> None:
    source = make(b"1234")
    body = await source.read(4, digests)
    assert body is not None
    assert body.data == b"1234"
    assert body.md5 == (md5_of(b"1234") if digests.md5 else "")
    assert body.checksum == (CRC64NVME.of(b"1234") if digests.checksum else None)
    assert await source.read(3, digests) is None


async def sent(
    source: Source, hook: Hook = do_nothing, journal: Journal | None = None, **settings: object
) -> tuple[HookedStore, list[Event]]:
    """Upload a source to a store in memory, which takes at most 10,000 bytes a request."""
    store = HookedStore(MemoryStore(provider=TINY), hook)
    events: list[Event] = []
    config = UploadConfig(backoff_base=0, **settings)  # type: ignore[arg-type]
    await source.open()
    async with dispatching([events.append]) as channel:
        call = Call(
            number=1,
            store=store,
            config=config,
            limiter=Limiter(4, 8),
            reader=SmallFileReader(),
            events=channel,
            store_state=StoreState(),
            journal=journal,
        )
        await upload(FileJob(call, 0, "f", "key", source))
    return store, events


@pytest.mark.parametrize("integrity", ["auto", "md5", "crc64nvme", "off"])
@pytest.mark.parametrize("size", [0, 1_500, 4_500])
async def test_every_source_is_uploaded_and_proven(make: Make, size: int, integrity: str) -> None:
    data = os.urandom(size)
    fails = fail_with(500, "InternalError", operation="UploadPart", times=2)
    store, events = await sent(make(data), fails, integrity=integrity)
    assert store.memory.objects == {"key": data}
    assert store.memory.uploads == {}
    (done,) = [event for event in events if isinstance(event, FileUploaded)]
    proof = {"auto": "etag-md5", "md5": "etag-md5", "crc64nvme": "crc64nvme", "off": "none"}
    assert (done.size, done.verified_by) == (size, proof[integrity])
    assert done.parts == (1 if size <= TINY.tuning.multipart_threshold else 5)


async def test_bytes_are_not_in_the_journal(tmp_path: Path) -> None:
    """No later process has them: an upload that fails is aborted, not kept."""
    journal = Journal(str(tmp_path / "journal.db"))

    async def refuse(moment: Moment) -> None:
        if moment.part == 3:
            await fail_with(403, "AccessDenied", operation="UploadPart")(moment)

    store, events = await sent(BytesSource(bytes(4_500)), refuse, journal)
    await journal.close()
    assert not any(isinstance(event, FileUploaded) for event in events)
    assert (store.memory.objects, store.memory.uploads) == ({}, {})
    assert store.count("AbortMultipartUpload") == 1
