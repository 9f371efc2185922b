"""Records of the logger `s3_uploader`, for calls whose log is off."""

import logging

from s3_uploader.consumers.verification import FileComparison
from s3_uploader.events import (
    CallFailed,
    Event,
    FileFailed,
    FileUnknown,
    FileUploaded,
    FileVerified,
    RequestRetried,
    Warned,
)
from s3_uploader.messages import Language, printable, text

logger = logging.getLogger("s3_uploader")


class RecordConsumer:
    """Log failures as ERROR and warnings as WARNING.

    The text of each record names the file. If logging is not set up, Python shows warnings and
    errors on stderr and nothing else.

    Args:
        language: language of the reasons, "zh" or "en".
    """

    def __init__(self, language: Language) -> None:
        self._language = language

    def __call__(self, event: Event) -> None:
        """Log the event, if it is one to log."""
        match event:
            case (
                FileFailed(name=name, code=code, params=params)
                | FileUnknown(name=name, code=code, params=params)
            ):
                if code != "upload.stopped":
                    logger.error("%s: %s", printable(name), text(self._language, code, params))
            case FileVerified(name=name, result=result):
                if result != "same":
                    reason = FileComparison.of(event).message(self._language)
                    logger.error("%s: %s", printable(name), reason)
            case CallFailed(code=code, params=params):
                logger.error("%s", text(self._language, code, params))
            case Warned(code=code, params=params):
                logger.warning("%s", text(self._language, code, params))
            case _:
                pass


def trace(event: Event) -> None:
    """Log retries, and committed files with their lane and evidence, as DEBUG."""
    match event:
        case FileUploaded(key=key, lane=lane, verified_by=verified):
            logger.debug(
                "%s committed by the %s lane, proven by %s", printable(key), lane, verified
            )
        case RequestRetried(key=key, operation=operation, code=code, params=params):
            reason = text("en", code, params)
            logger.debug("%s of %s is retried: %s", operation, printable(key), reason)
        case _:
            pass
