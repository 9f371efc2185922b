"""Check the arguments of a call other than its paths and keys, before anything begins."""

import re
from typing import get_args

from s3_uploader.config import Symlinks, UploadConfig
from s3_uploader.errors import ConfigError

_HEADER_VALUE = re.compile(r"[!-~]([ -~]*[!-~])?")


def check_content_type(value: str | None, origin: str) -> None:
    """Check that `value` can be sent as a header; `origin` names the function that was called.

    Raises:
        ConfigError: `value` cannot be sent.
    """
    if value is not None and not _HEADER_VALUE.fullmatch(value):
        allowed = "printable ASCII, such as application/octet-stream"
        raise _bad_value("content_type", value, origin, allowed)


def choose_symlinks(value: Symlinks | None, config: UploadConfig, origin: str) -> Symlinks:
    """Return which links to follow: the argument of the call, or else the setting.

    Raises:
        ConfigError: `value` is not allowed; `origin` names the function that was called.
    """
    choices = get_args(Symlinks)
    if value is not None and value not in choices:
        raise _bad_value("symlinks", value, origin, "one of " + ", ".join(choices))
    return value or config.symlinks


def _bad_value(field: str, value: str, origin: str, allowed: str) -> ConfigError:
    return ConfigError("config.bad_value", field=field, value=value, origin=origin, allowed=allowed)
