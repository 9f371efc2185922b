"""What can go wrong, as types.

    S3UploaderError
    ├── ConfigError      a profile, an environment variable or a setting
    ├── SourceError      a local file or directory
    ├── InvalidKeyError  an object key S3 or a store cannot hold
    ├── StoreError       the store's answer, or the way to it
    │   └── ResourceError  this process can have no more descriptors, threads or memory
    ├── IntegrityError   what the store says of the bytes contradicts what was read
    ├── OutcomeUnknownError  the store never said whether it published an object
    ├── UploadFailedError  raised by a report when asked to
    └── VerifyFailedError  raised by the report of a verification when asked to

Each error carries a message code and primitive parameters, so that it can be shown in any language
of `s3_uploader.messages`. No error holds a secret.
"""

import copy
from collections.abc import Mapping

from s3_uploader.messages import Language, Sentence, text

Param = str | int | float


class S3UploaderError(Exception):
    """An expected failure: names the thing and the way out.

    Args:
        code: a message code of `s3_uploader.messages`, such as "source.missing".
        params: what the message names.
    """

    def __init__(self, code: str, **params: Param) -> None:
        super().__init__(code)
        self.code = code
        self.params: Mapping[str, Param] = params

    def message(self, language: Language) -> str:
        """Return the sentence a person should read, in `language`."""
        return text(language, self.code, self.params)

    @property
    def sentence(self) -> Sentence:
        """The message as a parameter of another message."""
        return Sentence(self.code, self.params)

    def __str__(self) -> str:
        return self.message("en")

    def __reduce__(self) -> tuple[object, ...]:
        return _Rebuild(type(self)), (self.code, dict(self.params)), self.__dict__


class _Rebuild:
    """Call an error's constructor with keyword parameters, which pickle alone cannot."""

    def __init__(self, kind: type[S3UploaderError]) -> None:
        self.kind = kind

    def __call__(self, code: str, params: Mapping[str, Param]) -> S3UploaderError:
        return self.kind(code, **params)


class ConfigError(S3UploaderError):
    """A profile, an environment variable or a setting is missing or not allowed."""


class SourceError(S3UploaderError):
    """A local path cannot be uploaded: missing, unreadable, not a regular file, or changing."""


class InvalidKeyError(S3UploaderError):
    """An object key that S3 does not allow or that stores resolve in different ways."""


class IntegrityError(S3UploaderError):
    """An ETag, checksum or size that the store tells contradicts the bytes that were read."""


class OutcomeUnknownError(S3UploaderError):
    """Whether an object was published is not known: every answer was lost or contradicted."""


class ServerError(S3UploaderError):
    """The embedded server of `s3_uploader.testing` cannot run."""


class UploadFailedError(S3UploaderError):
    """One or more files of an upload failed; raised by `UploadReport.raise_for_failures`."""


class VerifyFailedError(S3UploaderError):
    """One or more files are not, or not provably, the same at the store; raised on request."""


class StoreError(S3UploaderError):
    """The store refused, failed or could not be reached.

    Attributes:
        status: the HTTP status, or None when no answer came.
        s3_code: the `<Code>` of the answer's body, or "".
        retryable: another attempt of the same request may succeed.
        fatal: every other request of the same upload would meet the same error.
        retry_after: seconds the store asked to wait before the next attempt, None if it did not.
    """

    def __init__(
        self,
        code: str,
        *,
        status: int | None = None,
        s3_code: str = "",
        retryable: bool = False,
        fatal: bool = False,
        retry_after: float | None = None,
        **params: Param,
    ) -> None:
        super().__init__(code, status=status or 0, s3_code=s3_code or "-", **params)
        self.status = status
        self.s3_code = s3_code
        self.retryable = retryable
        self.fatal = fatal
        self.retry_after = retry_after

    def as_retryable(self) -> "StoreError":
        """Return the same error as one to try again after: where what it says may not be so."""
        again = copy.copy(self)
        again.retryable = True
        return again


class ResourceError(StoreError):
    """This process could not have what a request takes: a descriptor, a thread, memory.

    It is noticed before anything is sent, except that memory can also be lacking for the answer.
    Another attempt may succeed, with fewer requests in flight.
    """
