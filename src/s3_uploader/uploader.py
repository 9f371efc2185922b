"""The async API: one `Uploader`, built once, shared by every call of a service."""

import itertools
import logging
import os
import re
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from types import TracebackType
from typing import Literal, Self, get_args

import anyio

from s3_uploader import to_thread
from s3_uploader.config import Symlinks, UploadConfig
from s3_uploader.consumers import (
    FileOutcome,
    ReportBuilder,
    UploadReport,
    VerifyBuilder,
    VerifyReport,
    trace,
)
from s3_uploader.engine import (
    Call,
    Consumer,
    PendingUpload,
    abort_pending,
    dispatching,
    pending,
    upload_directory,
    upload_file,
    verify_directory,
    verify_file,
)
from s3_uploader.engine.delivery.subscription import Subscription
from s3_uploader.errors import ConfigError, ResourceError, UploadFailedError
from s3_uploader.events import CallFailed, Event, FileVerified
from s3_uploader.keys import check_key
from s3_uploader.profile import DEFAULT_PROFILE, Profile, load_profile
from s3_uploader.session import Session, Task
from s3_uploader.source import count_files
from s3_uploader.store import ObjectStore

_logger = logging.getLogger("s3_uploader")
_HEADER_VALUE = re.compile(r"[!-~]([ -~]*[!-~])?")


class Uploader:
    """Uploads files and directories to one bucket; an async context manager.

    ```python
    async with Uploader() as uploader:
        outcome = await uploader.upload_file("model.bin", "models/model.bin")
        report = await uploader.upload_directory("bert-base", "models/bert-base")
        report.raise_for_failures()
    ```

    Calls may run concurrently; all of them together keep to `UploadConfig.max_requests` requests
    in flight. Cancelling the task of a call cancels that call: nothing new starts, no task is
    left, its multipart uploads are aborted, or kept for the next time if `UploadConfig.on_cancel`
    says so; within 5 seconds, also where the store no longer answers.

    Args:
        profile: name of a profile (see `load_profile`), or a `Profile`. Default "runpods3". One
            given by name is read again when the store says that its credentials have expired, in
            the wire lane; the boto lane keeps the keys it began with.
        config: settings; default `UploadConfig.load`: the environment and the profile's section.
        store: upload to this store instead of the profile's; for tests.

    Raises:
        ConfigError: on entering, for a profile or a setting that is missing or not allowed.
    """

    def __init__(
        self,
        profile: str | Profile = DEFAULT_PROFILE,
        *,
        config: UploadConfig | None = None,
        store: ObjectStore | None = None,
    ) -> None:
        self._profile = profile
        self._config = config
        self._given_store = store
        self._session: Session | None = None
        self._numbers = itertools.count(1)
        self._subscriptions: set[Subscription] = set()
        self._running: dict[anyio.Event, anyio.CancelScope] = {}

    async def __aenter__(self) -> Self:
        if self._given_store is not None:
            self._session = Session.of_store(self._given_store, self._config)
            return self
        profile = self._profile
        reload: Callable[[], Profile] | None = None
        if isinstance(profile, str):
            reload = partial(load_profile, profile)
            profile = await to_thread.run_sync(reload)
        self._session = Session.of_profile(profile, self._config, reload)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        session, self._session = self._session, None
        running = dict(self._running)
        for scope in running.values():
            scope.cancel()

        async def close() -> None:
            with anyio.CancelScope(shield=True):
                for ended in running:
                    await ended.wait()
                if session is not None:
                    await session.stack.aclose()

        try:
            # A child task, as in `_perform`: no shield holds off a cancellation of asyncio's own.
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(close)
        finally:
            for subscription in self._subscriptions:
                subscription.close()

    async def upload_file(
        self,
        path: str | os.PathLike[str],
        key: str | None = None,
        *,
        consumers: Sequence[Consumer] = (),
        content_type: str | None = None,
    ) -> FileOutcome:
        """Upload one file.

        Args:
            path: the file.
            key: object key; default the file's name.
            consumers: called with every event of this call.
            content_type: Content-Type of the object; default guessed from the name.

        Returns:
            How it ended; a failure is in the outcome, not raised.

        Raises:
            UploadFailedError: the Uploader is not open, or was closed meanwhile.
            ConfigError: `content_type` cannot be a header's value.
        """
        if content_type is not None and not _HEADER_VALUE.fullmatch(content_type):
            raise ConfigError(
                "config.bad_value",
                field="content_type",
                value=content_type,
                origin="upload_file",
                allowed="printable ASCII, such as application/octet-stream",
            )
        source = os.fspath(path)
        target = os.path.basename(source) if key is None else key

        async def work(call: Call) -> None:
            check_key(target)
            call.content_type = content_type
            await upload_file(call, source, target)

        report, refusal = await self._run("file", source, target, work, consumers)
        if refusal is not None:
            report = _refused(report, source, target, refusal, 1)
        return report.files[0]

    async def upload_directory(
        self,
        path: str | os.PathLike[str],
        prefix: str = "",
        *,
        consumers: Sequence[Consumer] = (),
        keep_files: bool = True,
        symlinks: Symlinks | None = None,
    ) -> UploadReport:
        """Upload every file below a directory to `prefix`/<path below it>.

        Hidden files are included; what cannot be uploaded is a failure of that file only.

        Args:
            path: the directory.
            prefix: key prefix, without '/' at its ends; "" is the bucket's root.
            consumers: called with every event of this call.
            keep_files: keep the outcome of every file in the report, not only of failures.
            symlinks: which symbolic links below `path` are followed; default
                `UploadConfig.symlinks`.

        Returns:
            The report. If the upload could not start, every file counts as failed (the directory
            itself where it cannot be read), and `files` holds the reason once.

        Raises:
            UploadFailedError: the Uploader is not open.
            ConfigError: `symlinks` is not allowed.
        """
        source = os.fspath(path)
        links = self._symlinks(symlinks, "upload_directory")

        async def work(call: Call) -> None:
            if prefix:
                check_key(prefix)
            await upload_directory(call, source, prefix, links)

        report, refusal = await self._run(
            "directory", source, prefix, work, consumers, keep_files=keep_files
        )
        if refusal is None:
            return report
        try:
            found = await to_thread.run_sync(count_files, source, links)
        except ResourceError:
            # What the upload lacked, the counting may lack too: then in this thread.
            found = count_files(source, links)
        return _refused(report, source, prefix, refusal, found)

    @asynccontextmanager
    async def events(self) -> AsyncGenerator["Subscription"]:
        """Subscribe to the events of all calls: `async for event in stream` inside the block.

        Uploads never wait for a subscriber: one that falls 4,096 events behind loses the oldest,
        and is told so by `EventsLost`. The stream ends when the Uploader closes.
        """
        subscription = Subscription()
        self._subscriptions.add(subscription)
        try:
            yield subscription
        finally:
            self._subscriptions.discard(subscription)
            subscription.close()

    # -------------------------------------------------------------------------- verification

    async def verify_file(
        self,
        path: str | os.PathLike[str],
        key: str | None = None,
        *,
        consumers: Sequence[Consumer] = (),
    ) -> FileVerified:
        """Compare a file with the object at `key`, without uploading anything.

        The ETag tells where it is an MD5 of the object or of parts of a usual size; else the
        object is read back and compared.

        Args:
            path: the file.
            key: object key; default the file's name.
            consumers: called with every event of this call.

        Returns:
            What was found; `result` is "same" if the object holds exactly the file's bytes.

        Raises:
            S3UploaderError: the store could not be opened; UploadFailedError: the Uploader is not
                open, or was closed meanwhile.
        """
        source = os.fspath(path)
        target = os.path.basename(source) if key is None else key
        builder = VerifyBuilder()
        work = partial(verify_file, path=source, key=target)
        await self._perform(Task(next(self._numbers), "other", "", "", work), builder, consumers)
        _raise_refusal(builder.refusal)
        if builder.last is None:
            raise AssertionError("a verification without a result")
        return builder.last

    async def verify_directory(
        self,
        path: str | os.PathLike[str],
        prefix: str = "",
        *,
        consumers: Sequence[Consumer] = (),
        symlinks: Symlinks | None = None,
    ) -> VerifyReport:
        """Compare every file below a directory with the object at `prefix`/<path below it>.

        Objects without a file are not looked for.

        An error that every file would meet, such as a wrong secret, ends it: what was not compared
        counts as failed.

        Args, Raises: as `verify_file` and, for `symlinks`, `upload_directory`; SourceError if the
        directory itself cannot be read; S3UploaderError for a prefix that no key can have.
        """
        builder = VerifyBuilder()
        links = self._symlinks(symlinks, "verify_directory")
        root = os.fspath(path)

        async def work(call: Call) -> None:
            if prefix:
                check_key(prefix)
            await verify_directory(call, root, prefix, links)

        await self._perform(Task(next(self._numbers), "other", "", "", work), builder, consumers)
        _raise_refusal(builder.refusal)
        return builder.report()

    # ----------------------------------------------------------------- interrupted uploads

    async def pending_uploads(
        self, prefix: str = "", *, foreign: bool = False
    ) -> list[PendingUpload]:
        """List the multipart uploads that were interrupted and kept, newest first.

        Uploading the same file to the same key goes on with one; `abort_upload` discards it.

        Args:
            prefix: only keys that begin with it.
            foreign: also list what others have open; only the store knows those.

        Raises:
            S3UploaderError: as `verify_file`, or the store cannot list.
        """
        found: list[PendingUpload] = []

        async def work(call: Call) -> None:
            found.extend(await pending(call, prefix, foreign=foreign))

        await self._manage(work)
        return found

    async def abort_upload(self, key: str, upload_id: str, *, force: bool = False) -> bool:
        """Abort an open multipart upload; what it holds at the store is freed.

        Args:
            key: as `pending_uploads` lists it.
            upload_id: as `pending_uploads` lists it.
            force: abort it although it is not in the journal, so perhaps not ours.

        Returns:
            Whether the store has let go of it; if not, try again later.

        Raises:
            UploadFailedError: it is under way, or not ours and `force` is not given.
        """
        gone: list[bool] = []

        async def work(call: Call) -> None:
            gone.append(await abort_pending(call, key, upload_id, force=force))

        await self._manage(work)
        return gone[0]

    async def _manage(self, work: Callable[[Call], Awaitable[None]]) -> None:
        builder = VerifyBuilder()
        await self._perform(Task(next(self._numbers), "other", "", "", work), builder, ())
        _raise_refusal(builder.refusal)

    # ------------------------------------------------------------------------------ one call

    async def _run(
        self,
        kind: Literal["file", "directory"],
        source: str,
        target: str,
        work: Callable[[Call], Awaitable[None]],
        consumers: Sequence[Consumer],
        *,
        keep_files: bool = True,
    ) -> tuple[UploadReport, CallFailed | None]:
        builder = ReportBuilder(keep_files=keep_files)
        task = Task(next(self._numbers), kind, source, target, work)
        await self._perform(task, builder, consumers)
        return builder.report(), builder.refusal

    async def _perform(self, task: Task, builder: Consumer, consumers: Sequence[Consumer]) -> None:
        session = self._session
        if session is None:
            raise UploadFailedError("upload.closed")
        audience: list[Consumer] = [builder, *consumers, self._publish]
        if _logger.isEnabledFor(logging.DEBUG):
            audience.append(trace)

        async def dispatch_all() -> None:
            async with dispatching(audience) as events:
                await task.perform(session, events)

        # The work runs in a child task: a cancellation of the caller's task then arrives as the
        # scope's, which the shields around create and abort hold off; asyncio's own they cannot.
        ended = anyio.Event()
        try:
            async with anyio.create_task_group() as tasks:
                self._running[ended] = tasks.cancel_scope
                tasks.start_soon(dispatch_all)
        finally:
            del self._running[ended]
            ended.set()
        if tasks.cancel_scope.cancelled_caught:
            raise UploadFailedError("upload.closed_early")

    def _symlinks(self, given: Symlinks | None, origin: str) -> Symlinks:
        """Return what was given, or else the setting.

        Raises:
            UploadFailedError: the Uploader is not open.
            ConfigError: it is not allowed.
        """
        if self._session is None:
            raise UploadFailedError("upload.closed")
        choices = get_args(Symlinks)
        if given is not None and given not in choices:
            allowed = "one of " + ", ".join(choices)
            raise ConfigError(
                "config.bad_value", field="symlinks", value=given, origin=origin, allowed=allowed
            )
        return given or self._session.config.symlinks

    def _publish(self, event: Event) -> None:
        for subscription in self._subscriptions:
            subscription.put(event)


def _raise_refusal(refusal: CallFailed | None) -> None:
    if refusal is not None:
        raise UploadFailedError(refusal.code, **refusal.params)


def _refused(
    report: UploadReport, source: str, prefix: str, refusal: CallFailed, found: int
) -> UploadReport:
    """Count what an upload that could not start, or go on, leaves behind as failed."""
    itself = FileOutcome(
        name=source, key=prefix, size=0, seconds=0.0, error=refusal.code, params=refusal.params
    )
    return replace(
        report,
        failed=max(1, found - report.success - report.unknown),
        files=(*report.files, itself),
    )
