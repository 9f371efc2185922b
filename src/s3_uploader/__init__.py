"""Upload files and directories to S3-compatible stores: fast, proven, from asyncio or plainly.

Names are imported when they are first used: asyncio alone takes longer to import than a program
that only might upload should wait.
"""

from importlib import import_module

from s3_uploader.version import __version__ as __version__

# Not from typing, which takes longer to import than all the rest; type checkers know the name.
TYPE_CHECKING = False

if TYPE_CHECKING:
    from s3_uploader.api import upload_directory, upload_file, verify_directory, verify_file
    from s3_uploader.config import UploadConfig
    from s3_uploader.consumers import (
        FileComparison,
        FileOutcome,
        LogConsumer,
        RecordConsumer,
        UploadReport,
        VerifyReport,
    )
    from s3_uploader.engine import PendingUpload
    from s3_uploader.errors import (
        ConfigError,
        IntegrityError,
        InvalidKeyError,
        OutcomeUnknownError,
        S3UploaderError,
        SourceError,
        StoreError,
        UploadFailedError,
        VerifyFailedError,
    )
    from s3_uploader.profile import Profile, load_profile
    from s3_uploader.uploader import Uploader


__all__ = [
    "ConfigError",
    "FileComparison",
    "FileOutcome",
    "IntegrityError",
    "InvalidKeyError",
    "LogConsumer",
    "OutcomeUnknownError",
    "PendingUpload",
    "Profile",
    "RecordConsumer",
    "S3UploaderError",
    "SourceError",
    "StoreError",
    "UploadConfig",
    "UploadFailedError",
    "UploadReport",
    "Uploader",
    "VerifyFailedError",
    "VerifyReport",
    "__version__",
    "load_profile",
    "upload_directory",
    "upload_file",
    "verify_directory",
    "verify_file",
]

_HOMES = {
    "api": ("upload_directory", "upload_file", "verify_directory", "verify_file"),
    "config": ("UploadConfig",),
    "consumers": (
        "FileComparison",
        "FileOutcome",
        "LogConsumer",
        "RecordConsumer",
        "UploadReport",
        "VerifyReport",
    ),
    "engine": ("PendingUpload",),
    "errors": (
        "ConfigError",
        "IntegrityError",
        "InvalidKeyError",
        "OutcomeUnknownError",
        "S3UploaderError",
        "SourceError",
        "StoreError",
        "UploadFailedError",
        "VerifyFailedError",
    ),
    "profile": ("Profile", "load_profile"),
    "uploader": ("Uploader",),
}


def __getattr__(name: str) -> object:
    for home, names in _HOMES.items():
        if name in names:
            value: object = getattr(import_module(f"{__name__}.{home}"), name)
            globals()[name] = value
            return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*globals(), *__all__]
