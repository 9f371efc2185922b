"""The signer against AWS's published examples, and against botocore's own."""

import datetime as dt
from urllib.parse import quote

import pytest
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as BotoCredentials
from hypothesis import given
from hypothesis import strategies as st

from s3_uploader.store.sigv4 import (
    UNSIGNED_PAYLOAD,
    Credentials,
    Signer,
    canonical_query,
    quote_path,
)

_EMPTY = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
_SUITE = Credentials("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")
_GUIDE = Credentials("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")


@pytest.mark.parametrize(
    ("method", "query", "signature"),
    [
        ("GET", "", "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"),
        ("POST", "", "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"),
        (
            "GET",
            "Param1=value1&Param2=value2",
            "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
        ),
    ],
    ids=["get-vanilla", "post-vanilla", "get-vanilla-query-order-key-case"],
)
def test_aws_test_suite(method: str, query: str, signature: str) -> None:
    """AWS Signature Version 4 test suite, 2015-08-30."""
    stamp = "20150830T123600Z"
    value = Signer("us-east-1", "service").authorization(
        _SUITE,
        method,
        "/",
        query,
        {"host": "example.amazonaws.com", "x-amz-date": stamp},
        _EMPTY,
        stamp,
    )
    assert value == (
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, "
        f"SignedHeaders=host;x-amz-date, Signature={signature}"
    )


def test_put_of_the_s3_reference() -> None:
    """S3 API reference, "Signature Calculations: Transferring Payload in a Single Chunk"."""
    stamp = "20130524T000000Z"
    payload = "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072"
    headers = {
        "date": "Fri, 24 May 2013 00:00:00 GMT",
        "host": "examplebucket.s3.amazonaws.com",
        "x-amz-content-sha256": payload,
        "x-amz-date": stamp,
        "x-amz-storage-class": "REDUCED_REDUNDANCY",
    }
    value = Signer("us-east-1").authorization(
        _GUIDE, "PUT", quote_path("/test$file.text"), "", headers, payload, stamp
    )
    assert value.endswith("98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd")


_text = st.text(
    st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\0"), min_size=1, max_size=20
)


@given(
    key=_text,
    upload_id=_text,
    number=st.integers(1, 10_000),
    content_type=st.sampled_from(["a/b", "a/b;  c=d", "a/b;   c"]),
    token=st.one_of(st.just(""), st.text("abc/+=", min_size=1)),
    when=st.datetimes(dt.datetime(2000, 1, 1), dt.datetime(2099, 1, 1)),  # noqa: DTZ001
)
def test_signature_is_that_of_botocore(
    key: str, upload_id: str, number: int, content_type: str, token: str, when: dt.datetime
) -> None:
    """For any key, query, token and day: same canonical form, same signature."""
    when = when.replace(tzinfo=dt.UTC)
    path = f"/bucket/{quote_path(key)}"
    query = canonical_query([("uploadId", upload_id), ("partNumber", str(number))])
    signer = Signer("us-ca-2")
    stamp = signer.stamp(when.timestamp())
    headers = {
        "content-type": content_type,
        "host": "store:8333",
        "x-amz-content-sha256": UNSIGNED_PAYLOAD,
        "x-amz-date": stamp,
    }
    request = AWSRequest(
        "PUT",
        f"http://store:8333{path}",
        headers={"content-type": content_type, "x-amz-content-sha256": UNSIGNED_PAYLOAD},
        params={"partNumber": str(number), "uploadId": upload_id},
    )
    request.context.update(timestamp=stamp, payload_signing_enabled=False)
    if token:
        headers["x-amz-security-token"] = token
        request.headers["X-Amz-Security-Token"] = token
    auth = S3SigV4Auth(BotoCredentials("AK", "SK", token or None), "s3", "us-ca-2")
    request.headers["X-Amz-Date"] = stamp
    canonical = auth.canonical_request(request)
    expected = auth.signature(auth.string_to_sign(request, canonical), request)
    credentials = Credentials("AK", "SK", token)
    value = signer.authorization(credentials, "PUT", path, query, headers, UNSIGNED_PAYLOAD, stamp)
    assert value.rpartition("=")[2] == expected


def _sign(signer: Signer, credentials: Credentials, stamp: str) -> str:
    return signer.authorization(credentials, "PUT", "/k", "", {"host": "h"}, _EMPTY, stamp)


def test_kept_key_follows_the_day_and_the_credentials() -> None:
    """A signer that has signed before signs as a new one does."""
    kept = Signer("r")
    other = Credentials("AK", "another")
    for credentials, stamp in [
        (_SUITE, "20261124T235959Z"),
        (_SUITE, "20261125T000000Z"),
        (other, "20261125T000000Z"),
        (_SUITE, "20261124T235959Z"),
    ]:
        assert _sign(kept, credentials, stamp) == _sign(Signer("r"), credentials, stamp)
    assert _sign(kept, other, "20261124T000000Z") != _sign(kept, _SUITE, "20261124T000000Z")


def test_stamp_is_utc_and_follows_the_clock() -> None:
    signer = Signer("r")
    assert signer.stamp(0.9) == "19700101T000000Z"
    assert signer.stamp(86_399.0) == "19700101T235959Z"
    assert signer.stamp(86_400.0) == "19700102T000000Z"


def test_repr_shows_no_secret() -> None:
    assert "wJalr" not in repr(_SUITE)


@given(st.text(max_size=40))
def test_path_is_quoted_once_and_keeps_its_slashes(path: str) -> None:
    try:
        path.encode()
    except UnicodeEncodeError:
        return
    assert quote_path(path) == "/".join(quote(piece, safe="-_.~") for piece in path.split("/"))
