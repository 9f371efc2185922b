"""The async API: one `Uploader`, built once, shared by every call of a service."""

import itertools
import logging
import os
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from functools import partial
from types import TracebackType
from typing import Self, TypeVar

from s3_uploader.arguments import check_content_type, check_symlinks
from s3_uploader.config import Symlinks, UploadConfig
from s3_uploader.consumers import (
    FileComparison,
    FileOutcome,
    ReportBuilder,
    UploadReport,
    VerifyBuilder,
    VerifyReport,
    trace,
)
from s3_uploader.engine import (
    Consumer,
    PendingUpload,
    abort_pending,
    count_directory,
    pending,
    upload_directory,
    upload_file,
    verify_directory,
    verify_file,
)
from s3_uploader.engine.delivery.subscription import Subscription, Subscriptions
from s3_uploader.errors import S3UploaderError, UploadFailedError
from s3_uploader.operation import Operation
from s3_uploader.profile import DEFAULT_PROFILE, Profile
from s3_uploader.session import Session
from s3_uploader.store import ObjectStore

T = TypeVar("T")

_logger = logging.getLogger("s3_uploader")


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
        self._subscriptions = Subscriptions()

    async def __aenter__(self) -> Self:
        self._session = await Session.open(self._profile, self._config, self._given_store)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        session, self._session = self._session, None
        try:
            if session is not None:
                await session.close()
        finally:
            self._subscriptions.close()

    # ------------------------------------------------------------------------------- uploads

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
        check_content_type(content_type, "upload_file")
        source = os.fspath(path)
        target = os.path.basename(source) if key is None else key
        work = partial(upload_file, path=source, key=target, content_type=content_type)
        operation = Operation("upload_file", source, target, work)
        builder = ReportBuilder()
        await self._upload(operation, builder, consumers)
        return builder.report(found=1).files[0]

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
        work = partial(upload_directory, root=source, prefix=prefix, symlinks=links)
        operation = Operation("upload_directory", source, prefix, work)
        builder = ReportBuilder(keep_files=keep_files)
        await self._upload(operation, builder, consumers)
        return builder.report(await count_directory(source, links) if builder.refused else 0)

    # -------------------------------------------------------------------------- verification

    async def verify_file(
        self,
        path: str | os.PathLike[str],
        key: str | None = None,
        *,
        consumers: Sequence[Consumer] = (),
    ) -> FileComparison:
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
        work = partial(verify_file, path=source, key=target)
        operation = Operation("verify_file", source, target, work)
        builder = VerifyBuilder()
        await self._perform(operation, [builder, *consumers])
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
        source = os.fspath(path)
        links = self._symlinks(symlinks, "verify_directory")
        work = partial(verify_directory, root=source, prefix=prefix, symlinks=links)
        operation = Operation("verify_directory", source, prefix, work)
        builder = VerifyBuilder()
        await self._perform(operation, [builder, *consumers])
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
        work = partial(pending, prefix=prefix, foreign=foreign)
        return await self._perform(Operation("list_uploads", "", prefix, work))

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
        work = partial(abort_pending, key=key, upload_id=upload_id, force=force)
        return await self._perform(Operation("abort_upload", "", key, work))

    # -------------------------------------------------------------------------------- events

    def events(self) -> AbstractAsyncContextManager[Subscription]:
        """Subscribe to the events of all calls: `async for event in stream` inside the block.

        Calls never wait for a subscriber: one that falls 4,096 events behind loses the oldest,
        and `EventsLost` says how many. The stream ends when the Uploader closes.
        """
        return self._subscriptions.subscribe()

    # ------------------------------------------------------------------------------ one call

    async def _upload(
        self, operation: Operation[None], builder: ReportBuilder, consumers: Sequence[Consumer]
    ) -> None:
        """Perform an upload; what ends it as a whole is for the report, and not raised."""
        try:
            await self._perform(operation, [builder, *consumers])
        except S3UploaderError:
            if not builder.refused:
                raise

    async def _perform(self, operation: Operation[T], consumers: Sequence[Consumer] = ()) -> T:
        session = self._opened()
        audience = [*consumers, self._subscriptions.put]
        if _logger.isEnabledFor(logging.DEBUG):
            audience.append(trace)
        return await operation.perform(next(self._numbers), session, audience)

    def _symlinks(self, given: Symlinks | None, origin: str) -> Symlinks:
        setting = self._opened().config.symlinks
        check_symlinks(given, origin)
        return given or setting

    def _opened(self) -> Session:
        if self._session is None:
            raise UploadFailedError("upload.closed")
        return self._session
