"""The documented functions: synchronous, and usable wherever Python runs.

They work in a plain script, inside a running event loop (Jupyter) and from several threads at
once. Expected failures return what the contract says; bugs in this library raise.
"""

import os
from collections.abc import Awaitable, Callable
from typing import TypeVar

from s3_uploader.consumers import LogConsumer, RecordConsumer, VerifyReport
from s3_uploader.engine import Consumer
from s3_uploader.errors import S3UploaderError, SourceError
from s3_uploader.events import CallKind
from s3_uploader.keys import directory_prefix, file_key
from s3_uploader.profile import DEFAULT_PROFILE
from s3_uploader.runner import run
from s3_uploader.source import count_files
from s3_uploader.uploader import Uploader

DEFAULT_SUBDIR = "/workspace/models"

T = TypeVar("T")


def upload_file(
    local_path: str | os.PathLike[str],
    remote_key: str | None = None,
    models_subdir: str = DEFAULT_SUBDIR,
    profile: str = DEFAULT_PROFILE,
    verbose: bool = True,
) -> bool:
    """Upload one file to `models_subdir`/`remote_key`.

    Args:
        local_path: the file.
        remote_key: key below `models_subdir`; default the file's name.
        models_subdir: key prefix; "" is the bucket's root. Default "/workspace/models".
        profile: profile of `~/.runpod_s3_config`. Default "runpods3".
        verbose: print the log; otherwise success is silent. Default True.

    Returns:
        Whether the file was uploaded. The reason for a failure is in the log or, when `verbose` is
        False, in an ERROR record of the logger "s3_uploader".
    """
    path = os.fspath(local_path)

    async def upload(uploader: Uploader, consumer: Consumer) -> bool:
        key = file_key(models_subdir, remote_key, os.path.basename(path))
        return (await uploader.upload_file(path, key, consumers=[consumer])).ok

    return bool(_run("upload_file", profile, upload, verbose=verbose))


def upload_directory(
    local_dir: str | os.PathLike[str],
    remote_prefix: str | None = None,
    models_subdir: str = DEFAULT_SUBDIR,
    include_parent_dir: bool = False,
    profile: str = DEFAULT_PROFILE,
    verbose: bool = True,
) -> dict[str, int]:
    """Upload every file below `local_dir` to `models_subdir`/`remote_prefix`/<relative path>.

    Args:
        local_dir: the directory.
        remote_prefix: key prefix below `models_subdir`; default none.
        models_subdir: as `upload_file`.
        include_parent_dir: put the directory's own name before the relative paths. Default False.
        profile: as `upload_file`.
        verbose: as `upload_file`.

    Returns:
        {"total": …, "success": …, "failed": …}, in files; "failed" includes those whose outcome is
        unknown. If the upload could not start, every file counts as failed, and the directory
        itself where it cannot be read.
    """
    path = os.fspath(local_dir)

    async def upload(uploader: Uploader, consumer: Consumer) -> dict[str, int]:
        parent = _own_name(path) if include_parent_dir else ""
        prefix = directory_prefix(models_subdir, remote_prefix, parent)
        report = await uploader.upload_directory(
            path, prefix, consumers=[consumer], keep_files=False
        )
        failed = report.failed + report.unknown
        return {"total": report.total, "success": report.success, "failed": failed}

    counts = _run("upload_directory", profile, upload, verbose=verbose)
    if counts is not None:
        return counts
    files = max(1, count_files(path))
    return {"total": files, "success": 0, "failed": files}


def verify_file(
    local_path: str | os.PathLike[str],
    remote_key: str | None = None,
    models_subdir: str = DEFAULT_SUBDIR,
    profile: str = DEFAULT_PROFILE,
    verbose: bool = True,
) -> bool:
    """Compare one file with the object that `upload_file` would write; upload nothing.

    Args:
        local_path: the file.
        remote_key: as `upload_file`.
        models_subdir: as `upload_file`.
        profile: as `upload_file`.
        verbose: as `upload_file`.

    Returns:
        Whether the object holds exactly the file's bytes.
    """
    path = os.fspath(local_path)

    async def verify(uploader: Uploader, consumer: Consumer) -> bool:
        key = file_key(models_subdir, remote_key, os.path.basename(path))
        return (await uploader.verify_file(path, key, consumers=[consumer])).same

    return bool(_run("verify_file", profile, verify, verbose=verbose))


def verify_directory(
    local_dir: str | os.PathLike[str],
    remote_prefix: str | None = None,
    models_subdir: str = DEFAULT_SUBDIR,
    include_parent_dir: bool = False,
    profile: str = DEFAULT_PROFILE,
    verbose: bool = True,
) -> dict[str, int]:
    """Compare a directory with the objects that `upload_directory` would write; upload nothing.

    Args:
        local_dir: the directory.
        remote_prefix: as `upload_directory`.
        models_subdir: as `upload_directory`.
        include_parent_dir: as `upload_directory`.
        profile: as `upload_directory`.
        verbose: as `upload_directory`.

    Returns:
        {"total": …, "same": …, "different": …, "missing": …, "failed": …}, in files; those that
        "failed" could not be compared. If the comparison could not start, every file counts as
        failed.
    """
    path = os.fspath(local_dir)

    async def verify(uploader: Uploader, consumer: Consumer) -> dict[str, int]:
        parent = _own_name(path) if include_parent_dir else ""
        prefix = directory_prefix(models_subdir, remote_prefix, parent)
        report = await uploader.verify_directory(path, prefix, consumers=[consumer])
        return {"total": report.total} | _counts(report)

    counts = _run("verify_directory", profile, verify, verbose=verbose)
    if counts is not None:
        return counts
    files = max(1, count_files(path))
    return {"total": files, "same": 0, "different": 0, "missing": 0, "failed": files}


def _counts(report: VerifyReport) -> dict[str, int]:
    return {name: getattr(report, name) for name in ("same", "different", "missing", "failed")}


def _own_name(path: str) -> str:
    name = os.path.basename(os.path.abspath(path))
    if not name:
        raise SourceError("source.no_parent", path=path)
    return name


def _run(
    kind: CallKind,
    profile: str,
    action: Callable[[Uploader, Consumer], Awaitable[T]],
    *,
    verbose: bool,
) -> T | None:
    """Return the result of `action`; None if it was refused, which the log or a record says."""
    try:
        return run(kind, action, LogConsumer if verbose else RecordConsumer, profile=profile)
    except S3UploaderError:
        return None
