"""The async API: one `Uploader`, built once, shared by every call of a service."""

import logging
import os
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import Self, TypeVar

from s3_uploader.arguments import check_content_type, choose_symlinks
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
    in flight. Cancelling the task of a call cancels that call within 5 seconds, even if the store
    no longer responds: nothing new starts, no task is left, and its multipart uploads are aborted,
    or kept for the next time if `UploadConfig.on_cancel` says so.

    Args:
        profile: name of a profile (see `load_profile`), or a `Profile`. Default "runpods3". A
            profile given by name is read again when the store says that its credentials have
            expired, in the wire lane; the boto lane keeps the keys it began with.
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
        self._subscriptions = Subscriptions()

    async def __aenter__(self) -> Self:
        self._session = await Session.open(self._profile, self._config, self._given_store)
        return self

    async def __aexit__(self, *_error: object) -> None:
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
            The outcome of the file. A failure is in the outcome and not raised, whether it is the
            file's or the call could not start.

        Raises:
            ConfigError: `content_type` cannot be a header's value.
            UploadFailedError: the Uploader is not open, or was closed meanwhile.
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

        Hidden files are included. A file that cannot be uploaded does not stop the others.

        Args:
            path: the directory.
            prefix: key prefix, without '/' at its ends; "" is the bucket's root.
            consumers: called with every event of this call.
            keep_files: keep the outcome of every file in the report; otherwise only of those that
                are not committed. Default True.
            symlinks: which symbolic links below `path` are followed; default
                `UploadConfig.symlinks`.

        Returns:
            The report. If the call could not start, every file counts as failed (the directory
            itself where it cannot be read), and the last of `files` is the directory with the
            reason.

        Raises:
            ConfigError: `symlinks` is not allowed.
            UploadFailedError: the Uploader is not open, or was closed meanwhile.
        """
        source = os.fspath(path)
        links = choose_symlinks(symlinks, self._opened().config, "upload_directory")
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
        """Compare a file with the object at `key`; upload nothing.

        The ETag decides where it is the MD5 of the object, or made of the MD5s of parts of a usual
        size. Otherwise the object is read back and compared byte by byte.

        Args:
            path: the file.
            key: object key; default the file's name.
            consumers: called with every event of this call.

        Returns:
            What was found. A file or object that cannot be read is a result too, "failed".

        Raises:
            ConfigError: a setting cannot be used with this store.
            StoreError: the store could not be opened, for instance for lack of credentials.
            UploadFailedError: the Uploader is not open, or was closed meanwhile.
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

        Objects without a file are not looked for. An error that every file would meet, such as a
        wrong secret, ends the comparison: the files that were not compared count as failed.

        Args:
            path: the directory.
            prefix: key prefix, without '/' at its ends; "" is the bucket's root.
            consumers: called with every event of this call.
            symlinks: as `upload_directory`.

        Returns:
            The report, with every file that is not the same at the store.

        Raises:
            SourceError: the directory itself is missing or cannot be read.
            InvalidKeyError: no key can begin with `prefix`.
            ConfigError: `symlinks` is not allowed, or as `verify_file`.
            StoreError, UploadFailedError: as `verify_file`.
        """
        source = os.fspath(path)
        links = choose_symlinks(symlinks, self._opened().config, "verify_directory")
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

        Uploading the same file to the same key resumes such an upload; `abort_upload` discards it.

        Args:
            prefix: list only uploads whose key begins with it.
            foreign: also list uploads that are not in the journal; only the store knows them.

        Raises:
            StoreError: the store cannot list, and `foreign` is given; or as `verify_file`.
            ConfigError, UploadFailedError: as `verify_file`.
        """
        work = partial(pending, prefix=prefix, foreign=foreign)
        return await self._perform(Operation("list_uploads", "", prefix, work))

    async def abort_upload(self, key: str, upload_id: str, *, force: bool = False) -> bool:
        """Abort an open multipart upload, so that the store frees its parts.

        Args:
            key: as `pending_uploads` lists it.
            upload_id: as `pending_uploads` lists it.
            force: abort the upload even if it is not in the journal, so may be somebody else's.

        Returns:
            Whether the store has discarded the upload; if not, try again later.

        Raises:
            UploadFailedError: the upload is in progress, or not in the journal and `force` is not
                given; or as `verify_file`.
            ConfigError, StoreError: as `verify_file`.
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
        except S3UploaderError as error:
            if not builder.refused or error.code == "upload.closed_early":
                raise

    async def _perform(self, operation: Operation[T], consumers: Sequence[Consumer] = ()) -> T:
        session = self._opened()
        audience = [*consumers, self._subscriptions.put]
        if _logger.isEnabledFor(logging.DEBUG):
            audience.append(trace)
        return await operation.perform(session, audience)

    def _opened(self) -> Session:
        if self._session is None:
            raise UploadFailedError("upload.closed")
        return self._session
