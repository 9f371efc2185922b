"""Upload files and directories to S3-compatible stores: fast, proven, from asyncio or plainly."""

from s3_uploader.api import upload_directory, upload_file
from s3_uploader.config import UploadConfig
from s3_uploader.consumers import FileOutcome, LogConsumer, RecordConsumer, UploadReport
from s3_uploader.errors import (
    ConfigError,
    IntegrityError,
    InvalidKeyError,
    S3UploaderError,
    SourceError,
    StoreError,
    UploadFailedError,
)
from s3_uploader.profile import Profile, load_profile
from s3_uploader.uploader import Uploader

__version__ = "0.1.0"

__all__ = [
    "ConfigError",
    "FileOutcome",
    "IntegrityError",
    "InvalidKeyError",
    "LogConsumer",
    "Profile",
    "RecordConsumer",
    "S3UploaderError",
    "SourceError",
    "StoreError",
    "UploadConfig",
    "UploadFailedError",
    "UploadReport",
    "Uploader",
    "load_profile",
    "upload_directory",
    "upload_file",
]
