"""A call that uploads a tree: the walk fills a bounded queue, bounded workers empty it."""

import os
import time
from collections import deque
from collections.abc import Callable, Iterator
from functools import partial

import anyio
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

from s3_uploader import to_thread
from s3_uploader.config import Symlinks
from s3_uploader.engine.call import Call, Job
from s3_uploader.engine.crew import work_through
from s3_uploader.engine.history import History
from s3_uploader.engine.multipart import tell_journal_problem
from s3_uploader.engine.transfer import fail, transfer
from s3_uploader.errors import InvalidKeyError, S3UploaderError, SourceError
from s3_uploader.events import EntrySkipped, ScanFinished
from s3_uploader.plan import check_key
from s3_uploader.source import Entry, Problem, Skipped, SourceFile, walk

QUEUE_BATCHES = 128
"""Batches of entries (256 each) the walk may be ahead of the workers: bounds memory."""


_Walk = Callable[[], Iterator[list[Entry]]]


async def upload_directory(call: Call, root: str, prefix: str, symlinks: Symlinks) -> None:
    """Upload every file below `root` to `prefix`/<relative path>; outcomes are in the events.

    `symlinks` says which links below `root` are followed.

    Raises:
        SourceError: `root` itself is missing, not a directory or unreadable.
    """
    walk_tree = partial(walk, root, symlinks=symlinks)
    begun = await to_thread.run_sync(_first_batch, walk_tree)
    call.history = History.of(call.journal, call.store.endpoint, call.store.bucket, prefix, root)
    send, receive = anyio.create_memory_object_stream[list[Entry]](QUEUE_BATCHES)
    backlog = _Backlog(receive)
    root_prefix = os.path.join(root, "")
    key_prefix = f"{prefix}/" if prefix else ""

    async def upload(taken: tuple[int, Entry]) -> None:
        await _upload_entry(call, root_prefix, key_prefix, *taken)

    # Closed here: cancelled early, the tasks may never begin.
    with send, receive:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_scan, call, walk_tree, begun, send)
            await work_through(backlog.take, upload, call.limiter)
    await call.history.finish()
    await tell_journal_problem(call)


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


async def _upload_entry(call: Call, root: str, prefix: str, number: int, entry: Entry) -> None:
    if isinstance(entry, Skipped):
        return
    key = prefix + entry.name
    job = job_of(entry, number, root + entry.name, key)
    problem = _problem(call, entry, key)
    if problem is not None:
        await fail(call, job, problem, time.monotonic())
    else:
        await transfer(call, job)


def job_of(entry: SourceFile | Problem, number: int, path: str, key: str) -> Job:
    """Return the job of a file that a walk has found."""
    if isinstance(entry, Problem):
        return Job(number, entry.name, path, key, 0)
    return Job(number, entry.name, path, key, entry.size, entry.within)


def _problem(call: Call, entry: Entry, key: str) -> S3UploaderError | None:
    if isinstance(entry, Problem):
        return entry.error
    try:
        check_key(key)
    except InvalidKeyError as error:
        return error
    return S3UploaderError("upload.stopped") if call.stopped else None


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
        await totals.tell(call)
        tasks.cancel_scope.cancel()


class _Totals:
    """Files and bytes of the tree, and files behind links, told once."""

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

    async def tell(self, call: Call) -> None:
        if self._told:
            return
        self._told = True
        await call.events.emit(
            ScanFinished(
                upload=call.number,
                at=time.monotonic(),
                files=self.files,
                size=self.size,
                linked=self.linked,
                outside=self.outside,
            )
        )


async def _count_ahead(call: Call, walk_tree: _Walk, told: _Totals) -> None:
    ahead = _Totals()
    try:
        batches = walk_tree()
        while batch := await to_thread.run_sync(_next_batch, batches):
            ahead.add(batch)
    except SourceError:
        # The root vanished; the walk that feeds the queue reports it.
        return
    told.files, told.size = ahead.files, ahead.size
    told.linked, told.outside = ahead.linked, ahead.outside
    await told.tell(call)


async def _skipped(call: Call, entry: Skipped) -> None:
    await call.events.emit(
        EntrySkipped(
            upload=call.number,
            at=time.monotonic(),
            name=entry.name,
            code=entry.error.code,
            params=entry.error.params,
        )
    )
