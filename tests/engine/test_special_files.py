"""Something else put in a file's place: never waited for, never read, never uploaded."""

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import pytest

from behind_proxy import LIMIT_SECONDS
from s3_uploader import SourceError, Uploader
from s3_uploader.checksums import CRC64NVME, Digests
from s3_uploader.source import FileRange, SmallFileReader, open_regular, open_source
from s3_uploader.store import ObjectInfo
from s3_uploader.testing import MemoryStore
from s3_uploader.testing.hooked import HookedStore, Moment, tiny
from trees import make_tree


def _fifo(path: Path) -> None:
    os.mkfifo(path)


def _link_to_fifo(path: Path) -> None:
    # Outside of the tree.
    target = path.parent.parent / f"{path.name}-fifo"
    os.mkfifo(target)
    path.symlink_to(target)


def _socket(path: Path) -> None:
    # A socket's address has about 100 bytes at most.
    before = Path.cwd()
    os.chdir(path.parent)
    try:
        with closing(socket.socket(socket.AF_UNIX)) as bound:
            bound.bind(path.name)
    finally:
        os.chdir(before)


PUT_THERE: dict[str, tuple[Callable[[Path], None], str]] = {
    "fifo": (_fifo, "fifo"),
    "link to a fifo": (_link_to_fifo, "fifo"),
    "socket": (_socket, "socket"),
    "endless device": (lambda path: path.symlink_to("/dev/zero"), "character device"),
    "empty device": (lambda path: path.symlink_to("/dev/null"), "character device"),
    "directory": (Path.mkdir, ""),
}
"""What is put in the place of a file, and what it is called; "" for a directory."""

CODES = {"source.special", "source.is_directory"}


def swap(path: Path, put: Callable[[Path], None]) -> None:
    """Put something else in a file's place, as often as it is called."""
    if path.is_file() and not path.is_symlink():
        path.unlink()
        put(path)


@pytest.fixture(params=PUT_THERE)
def thing(request: pytest.FixtureRequest) -> tuple[Callable[[Path], None], str]:
    return PUT_THERE[request.param]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    make_tree(tmp_path / "t", {"f": 4_500})
    return tmp_path / "t/f"


# --------------------------------------------------------------------------------- each open


@pytest.mark.parametrize("opened", [open_regular, open_source])
def test_only_a_regular_file_is_opened(
    path: Path, thing: tuple[Callable[[Path], None], str], opened: Callable[[str], Any]
) -> None:
    put, kind = thing
    swap(path, put)
    descriptors = os.listdir("/dev/fd")
    with pytest.raises(SourceError) as raised:
        opened(str(path))
    assert raised.value.code == ("source.special" if kind else "source.is_directory")
    assert raised.value.params.get("kind", "") == kind
    assert os.listdir("/dev/fd") == descriptors


def test_terminal_is_not_acquired(tmp_path: Path) -> None:
    """The process leads its own session, which would acquire any terminal it opens."""
    code = (
        "import os, pty, sys\n"
        "from s3_uploader.source import open_regular\n"
        "from s3_uploader.errors import SourceError\n"
        "kept, other = pty.openpty(); name = os.ttyname(other)\n"
        "try: open_regular(name)\n"
        "except SourceError as error: print(error.params['kind'])\n"
        "try: os.open('/dev/tty', os.O_RDWR); print('acquired')\n"
        "except OSError: print('no terminal')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
        cwd=tmp_path,
        start_new_session=True,
    )
    assert done.stdout.split("\n")[:2] == ["character device", "no terminal"]


async def _chunks(body: FileRange) -> AsyncIterator[Any]:
    async for chunk in body.chunks():
        yield chunk


async def _blocks(body: FileRange) -> AsyncIterator[Any]:
    def first() -> Any:
        blocks: Iterator[memoryview] = body.blocks(memoryview(bytearray(1024)))
        return next(blocks)

    yield await anyio.to_thread.run_sync(first)


async def _spans(body: FileRange) -> AsyncIterator[Any]:
    yield await anyio.to_thread.run_sync(
        lambda: next(iter(body.spans(memoryview(bytearray(1024)))))
    )


async def _hash(body: FileRange) -> AsyncIterator[Any]:
    yield await body.hash()


async def _prepare(body: FileRange) -> AsyncIterator[Any]:
    await body.prepare()
    yield body.checksum


async def code_of(pieces: AsyncIterator[Any]) -> str:
    """Return the code of the error that reading ends with; nothing may come before it."""
    try:
        async for piece in pieces:
            raise AssertionError(f"{piece!r} was read")
    except SourceError as error:
        return error.code
    return ""


@pytest.mark.anyio
@pytest.mark.timeout(30)
@pytest.mark.parametrize("read", [_chunks, _blocks, _spans, _hash, _prepare])
async def test_each_pass_checks_what_it_opens_before_it_reads(
    path: Path,
    thing: tuple[Callable[[Path], None], str],
    read: Callable[[FileRange], AsyncIterator[Any]],
) -> None:
    body = FileRange(
        str(path), open_source(str(path)), size=4_500, digests=Digests(md5=True, checksum=CRC64NVME)
    )
    swap(path, thing[0])
    assert await code_of(read(body)) in CODES


@pytest.mark.anyio
@pytest.mark.parametrize("read", [_chunks, _blocks, _spans, _hash, _prepare])
async def test_each_pass_checks_the_fingerprint_before_it_reads(
    path: Path, read: Callable[[FileRange], AsyncIterator[Any]]
) -> None:
    body = FileRange(
        str(path), open_source(str(path)), size=4_500, digests=Digests(md5=True, checksum=CRC64NVME)
    )
    other = path.with_name("other")
    shutil.copyfile(path, other)
    other.replace(path)
    assert await code_of(read(body)) == "source.changed"


@pytest.mark.anyio
@pytest.mark.timeout(30)
async def test_small_files_are_read_only_if_they_are_regular(
    path: Path, thing: tuple[Callable[[Path], None], str]
) -> None:
    reader = SmallFileReader()
    swap(path, thing[0])
    with pytest.raises(SourceError) as raised:
        await reader.read(str(path), 10_000, Digests(md5=True))
    assert raised.value.code in CODES


# ------------------------------------------------------------------------------ a whole upload


@pytest.mark.anyio
@pytest.mark.timeout(60)
@pytest.mark.parametrize("size", [1_000, 300_000, 1_000_000], ids=["small", "put", "parts"])
async def test_file_swapped_after_the_walk_fails_alone(
    tmp_path: Path, thing: tuple[Callable[[Path], None], str], size: int
) -> None:
    """By the time of the first request some are opened and some are not."""
    root = tmp_path / "t"
    make_tree(root, {f"f{number}": size for number in range(12)})
    first: list[str] = []

    async def hook(moment: Moment) -> None:
        if not first and moment.when == "before":
            first.append(moment.key)
            for other in root.iterdir():
                if other.name != moment.key:
                    swap(other, thing[0])

    store = HookedStore(_roomy(), hook)
    async with Uploader(store=store) as uploader:
        with anyio.fail_after(LIMIT_SECONDS):
            report = await uploader.upload_directory(root)
    assert first
    assert report.failed >= 12 - report.success > 0
    for failure in report.failures:
        # Between the one and the other there is nothing.
        gone = {"source.changed", "source.vanished", "source.missing"}
        assert failure.error in CODES | gone, failure.message()
    committed = {outcome.name for outcome in report.files if outcome.status == "committed"}
    assert first[0] in committed
    assert set(store.memory.objects) == committed
    assert store.memory.uploads == {}


def _roomy() -> MemoryStore:
    """A store whose limits distinguish the three kinds of upload."""
    provider = tiny(
        multipart_threshold=500_000, part_size=200_000, max_part=300_000, max_put=500_000
    )
    return MemoryStore(provider=provider)


@pytest.mark.anyio
@pytest.mark.timeout(60)
@pytest.mark.parametrize("etag", ["md5", "opaque"])
async def test_file_swapped_during_its_verification_is_not_the_same(
    path: Path, thing: tuple[Callable[[Path], None], str], etag: str
) -> None:
    async def hook(moment: Moment) -> None:
        if moment.operation == "HeadObject":
            swap(path, thing[0])

    class Opaque(MemoryStore):
        async def head_object(self, key: str) -> ObjectInfo:
            return replace(await super().head_object(key), etag="opaque")

    store = HookedStore(Opaque() if etag == "opaque" else MemoryStore())
    async with Uploader(store=store) as uploader:
        (await uploader.upload_file(path, "f")).raise_for_failure()
        store.hook = hook
        with anyio.fail_after(LIMIT_SECONDS):
            found = await uploader.verify_file(path, "f")
    assert found.result == "failed"
    assert found.code in CODES
