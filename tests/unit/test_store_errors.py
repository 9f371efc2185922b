"""The error that an HTTP response means, whichever lane received it."""

import pytest

from s3_uploader.messages import text
from s3_uploader.store import error_from_response
from s3_uploader.store.errors import Request

_REQUEST = Request("UploadPart", "the/key", "the-bucket", "http://the-endpoint", 4096)


@pytest.mark.parametrize(
    "status", [408, 429, 500, 502, 503, 504, 520, 521, 522, 523, 524, 525, 526, 527]
)
def test_transport_errors_are_retryable(status: int) -> None:
    error = error_from_response(_REQUEST, status, "", "")
    assert (error.code, error.retryable, error.fatal) == ("store.busy", True, False)
    assert str(status) in str(error)


@pytest.mark.parametrize("s3_code", ["SlowDown", "RequestTimeout", "InternalError", "BadDigest"])
@pytest.mark.parametrize("status", [200, 400])
def test_retryable_code_counts_whatever_the_status(s3_code: str, status: int) -> None:
    assert error_from_response(_REQUEST, status, s3_code, "").retryable


@pytest.mark.parametrize(
    ("status", "s3_code", "code", "fatal"),
    [
        (403, "SignatureDoesNotMatch", "store.signature", True),
        (403, "InvalidAccessKeyId", "store.unknown_access_key", True),
        (403, "AccessDenied", "store.access_denied", False),
        (403, "RequestTimeTooSkewed", "store.clock_skew", True),
        (400, "ExpiredToken", "store.expired_token", True),
        (404, "NoSuchBucket", "store.no_bucket", True),
        (404, "NoSuchUpload", "store.no_such_upload", False),
        (404, "NoSuchKey", "store.not_found", False),
        (412, "PreconditionFailed", "store.precondition", False),
        (413, "", "store.too_large", False),
        (400, "EntityTooLarge", "store.too_large", False),
        (507, "", "store.full", True),
        (400, "InvalidPart", "store.rejected", False),
        (501, "NotImplemented", "store.rejected", False),
    ],
)
def test_lasting_errors_are_not_retryable(
    status: int, s3_code: str, code: str, *, fatal: bool
) -> None:
    error = error_from_response(_REQUEST, status, s3_code, "why")
    assert (error.code, error.retryable, error.fatal) == (code, False, fatal)
    assert (error.status, error.s3_code) == (status, s3_code)


@pytest.mark.parametrize("operation", ["PutObject", "CreateMultipartUpload"])
def test_404_of_a_web_server_to_a_write_names_the_endpoint(operation: str) -> None:
    error = error_from_response(_REQUEST._replace(operation=operation), 404, "", "")
    assert (error.code, error.fatal) == ("store.not_s3", True)
    assert _REQUEST.endpoint in str(error)


@pytest.mark.parametrize("s3_code", ["SignatureDoesNotMatch", "InvalidAccessKeyId", ""])
def test_rest_key_is_named_as_the_cause_of_any_403(s3_code: str) -> None:
    request = Request("PutObject", "k", "b", "http://e", 1, foreign_secret=True)
    error = error_from_response(request, 403, s3_code, "")
    assert error.code == "store.rest_key"
    assert "rpa_" in str(error)
    assert "rps_" in str(error)


@pytest.mark.parametrize("status", [200, 400, 403, 404, 409, 412, 413, 429, 500, 507, 524])
@pytest.mark.parametrize("s3_code", ["", "NoSuchBucket", "NoSuchKey", "Other", "SlowDown"])
def test_every_response_makes_a_sentence_in_both_languages(status: int, s3_code: str) -> None:
    error = error_from_response(_REQUEST, status, s3_code, "a {brace} in the detail")
    assert text("en", error.code, error.params)
    assert text("zh", error.code, error.params)
