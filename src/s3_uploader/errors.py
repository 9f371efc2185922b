"""The types of everything that can go wrong.

    S3UploaderError
    ├── ConfigError      a profile, an environment variable or a setting
    ├── SourceError      a local file or directory
    ├── InvalidKeyError  an object key S3 or a store cannot hold
    ├── StoreError       the store's response, or the connection to the store
    │   └── ResourceError  this process has no descriptors, threads or memory left
    ├── IntegrityError   what the store says of the bytes contradicts what was read
    ├── OutcomeUnknownError  no response says whether an object was published
    ├── UploadFailedError  raised by an upload's report on request
    └── VerifyFailedError  raised by a verification's report on request

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
    """An object key is not allowed by S3, or resolved differently by different stores."""


class IntegrityError(S3UploaderError):
    """An ETag, checksum or size in a response contradicts the bytes that were read."""


class OutcomeUnknownError(S3UploaderError):
    """It is unknown whether an object was published: each response was lost or contradicted."""

    @classmethod
    def of(cls, key: str, cause: S3UploaderError) -> "OutcomeUnknownError":
        """Return the error for the object at `key`; `cause` is why the outcome is unknown."""
        return cls("outcome.unknown", key=key, reason=cause.sentence)


class ServerError(S3UploaderError):
    """The embedded server of `s3_uploader.testing` cannot run."""


class UploadFailedError(S3UploaderError):
    """One or more files of an upload failed; raised by `UploadReport.raise_for_failures`."""


class VerifyFailedError(S3UploaderError):
    """One or more files are not, or not provably, the same at the store; raised on request."""


class StoreError(S3UploaderError):
    """The store refused, failed or could not be reached.

    Attributes:
        status: the HTTP status, or None when no response came.
        s3_code: the `<Code>` of the response's body, or "".
        retryable: another attempt of the same request may succeed.
        fatal: every other request of the same upload would fail in the same way.
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
        """Return a retryable copy of the error, for use where the error may be wrong."""
        again = copy.copy(self)
        again.retryable = True
        return again


class ResourceError(StoreError):
    """This process has no descriptor, thread or memory left for a request.

    The error is raised before anything is sent, except that memory can also run out while the
    response is received. Another attempt, with fewer requests in flight, may succeed.
    """
