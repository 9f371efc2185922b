"""An operation over a tree: the walk fills a bounded queue, bounded workers empty it."""

import os
from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from functools import partial

import anyio
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

from s3_uploader import to_thread
from s3_uploader.config import Symlinks
from s3_uploader.engine.call import Call
from s3_uploader.engine.job import FileJob
from s3_uploader.engine.work.workers import run_workers
from s3_uploader.errors import InvalidKeyError, S3UploaderError, SourceError
from s3_uploader.events import EntrySkipped, ScanFinished
from s3_uploader.keys import check_key
from s3_uploader.source import Entry, FileSource, Problem, Skipped, SourceFile, walk

QUEUE_BATCHES = 128
"""Batches of entries (256 each) the walk may be ahead of the workers: bounds memory."""

Handle = Callable[[FileJob, S3UploaderError | None], Awaitable[None]]
"""What is done with each file; with an error it cannot be done."""

_Walk = Callable[[], Iterator[list[Entry]]]


async def run_over(call: Call, root: str, prefix: str, symlinks: Symlinks, handle: Handle) -> None:
    """Call `handle` with every file below `root`, its key being `prefix`/<relative path>.

    A file is handed over with an error where the walk could not read it, no store can hold its key,
    or `call.stopped` says that it would meet what another has met.

    Args:
        call: totals and skipped entries are its events.
        root: the directory.
        prefix: key prefix without '/' at its ends, "" for none.
        symlinks: which links below `root` are followed.
        handle: called by as many workers as the limiter allows.

    Raises:
        SourceError: `root` itself is missing, not a directory or unreadable.
    """
    walk_tree = partial(walk, root, symlinks=symlinks)
    begun = await to_thread.run_sync(_first_batch, walk_tree)
    send, receive = anyio.create_memory_object_stream[list[Entry]](QUEUE_BATCHES)
    backlog = _Backlog(receive)
    root_prefix = os.path.join(root, "")
    key_prefix = f"{prefix}/" if prefix else ""

    async def handle_entry(taken: tuple[int, Entry]) -> None:
        number, entry = taken
        if isinstance(entry, Skipped):
            return
        source = FileSource(root_prefix + entry.name, call.reader)
        if isinstance(entry, SourceFile):
            source = FileSource(source.path, call.reader, entry.size, entry.within)
        job = FileJob(call, number, entry.name, key_prefix + entry.name, source)
        await handle(job, _problem(call, entry, job.key))

    # Closed here: cancelled early, the tasks may never begin.
    with send, receive:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_scan, call, walk_tree, begun, send)
            await run_workers(backlog.take, handle_entry, call.limiter)


def _problem(call: Call, entry: Entry, key: str) -> S3UploaderError | None:
    if isinstance(entry, Problem):
        return entry.error
    try:
        check_key(key, call.store.provider.keys)
    except InvalidKeyError as error:
        return error
    return S3UploaderError("upload.stopped") if call.stopped else None


class _Backlog:
    """The entries not taken yet: workers take one at a time, the queue moves whole batches."""

    def __init__(self, receive: MemoryObjectReceiveStream[list[Entry]]) -> None:
        self._receive = receive
        self._lock = anyio.Lock()
        self._batch: deque[tuple[int, Entry]] = deque()
        self._count = 0

    async def take(self) -> tuple[int, Entry] | None:
        """Return the next entry and its number, or None when the walk has ended."""
        while not self._batch:
            async with self._lock:
                if self._batch:
                    continue
                try:
                    batch = await self._receive.receive()
                except anyio.EndOfStream:
                    return None
                self._batch.extend(enumerate(batch, self._count))
                self._count += len(batch)
        return self._batch.popleft()


# ------------------------------------------------------------------------------------------ walk


def _first_batch(walk_tree: _Walk) -> tuple[list[Entry], Iterator[list[Entry]]]:
    batches = walk_tree()
    return next(batches, []), batches


def _next_batch(batches: Iterator[list[Entry]]) -> list[Entry]:
    return next(batches, [])


async def _scan(
    call: Call,
    walk_tree: _Walk,
    begun: tuple[list[Entry], Iterator[list[Entry]]],
    send: MemoryObjectSendStream[list[Entry]],
) -> None:
    """Feed the queue. When it is full, count the rest of the tree apart, so totals come early."""
    totals = _Totals()
    batch, batches = begun
    async with anyio.create_task_group() as tasks:
        with send:
            while batch:
                totals.add(batch)
                for entry in batch:
                    if isinstance(entry, Skipped):
                        await _skipped(call, entry)
                try:
                    send.send_nowait(batch)
                except anyio.WouldBlock:
                    if not totals.counting:
                        totals.counting = True
                        tasks.start_soon(_count_ahead, call, walk_tree, totals)
                    await send.send(batch)
                batch = await to_thread.run_sync(_next_batch, batches)
        await totals.emit(call)
        tasks.cancel_scope.cancel()


class _Totals:
    """Files and bytes of the tree, and files behind links, emitted once."""

    def __init__(self) -> None:
        self.files = 0
        self.size = 0
        self.linked = 0
        self.outside = 0
        self.counting = False
        self._told = False

    def add(self, batch: list[Entry]) -> None:
        for entry in batch:
            if isinstance(entry, Skipped):
                continue
            self.files += 1
            if not isinstance(entry, Problem):
                self.size += entry.size
                self.linked += bool(entry.via)
                self.outside += entry.via == "outside"

    async def emit(self, call: Call) -> None:
        if self._told:
            return
        self._told = True
        await call.emit(
            ScanFinished,
            files=self.files,
            size=self.size,
            linked=self.linked,
            outside=self.outside,
        )


async def _count_ahead(call: Call, walk_tree: _Walk, totals: _Totals) -> None:
    ahead = _Totals()
    try:
        batches = walk_tree()
        while batch := await to_thread.run_sync(_next_batch, batches):
            ahead.add(batch)
    except SourceError:
        # The root vanished; the walk that feeds the queue reports it.
        return
    totals.files, totals.size = ahead.files, ahead.size
    totals.linked, totals.outside = ahead.linked, ahead.outside
    await totals.emit(call)


async def _skipped(call: Call, entry: Skipped) -> None:
    await call.emit(EntrySkipped, name=entry.name, code=entry.error.code, params=entry.error.params)
