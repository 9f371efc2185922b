"""Whatever a response holds, it is read as a value or is a StoreError: fuzzed from real ones."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from s3_uploader import StoreError
from s3_uploader.store import ListedObject, ListedPage, results
from s3_uploader.store.errors import Request
from s3_uploader.store.response import Response

_REQUEST = Request("Operation", "a key", "bucket", "http://store")
_NS = b'xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'

# As SeaweedFS and rclone send them.
_DOCUMENTS = [
    b'<?xml version="1.0" encoding="UTF-8"?>\n<InitiateMultipartUploadResult %b><Bucket>b</Bucket>'
    b"<Key>m</Key><UploadId>6b0d31c0_bb6e816a</UploadId></InitiateMultipartUploadResult>" % _NS,
    b"<CompleteMultipartUploadResult %b><Location>http://h/b/k</Location><Bucket>b</Bucket>"
    b"<ETag>&#34;9b2cf535f27731c974343645a3985328-2&#34;</ETag></CompleteMultipartUploadResult>"
    % _NS,
    b"<ListPartsResult %b><IsTruncated>true</IsTruncated><NextPartNumberMarker>2"
    b"</NextPartNumberMarker><Part><ETag>&quot;aa&quot;</ETag><LastModified>2026-11-26T12:15:39Z"
    b"</LastModified><PartNumber>1</PartNumber><Size>5242880</Size></Part></ListPartsResult>" % _NS,
    (
        b"<ListMultipartUploadsResult><IsTruncated>true</IsTruncated><NextKeyMarker>k</NextKeyMarker>"
        b"<NextUploadIdMarker>i</NextUploadIdMarker><Upload><Key>m</Key><UploadId>dd5a</UploadId>"
        b"<Initiated>2026-11-26T12:15:53.618Z</Initiated></Upload></ListMultipartUploadsResult>"
    ),
    b"<CopyObjectResult><LastModified>x</LastModified><ETag>78</ETag></CopyObjectResult>",
    (
        b"<ListBucketResult %b><Name>b</Name><Prefix>p/</Prefix><IsTruncated>true</IsTruncated>"
        b"<Contents><Key>p/a+b%%20c</Key><ETag>&#34;781e5e&#34;</ETag><Size>10</Size><LastModified>"
        b"2026-11-26T15:15:11Z</LastModified></Contents><CommonPrefixes><Prefix>p/%%C3%%A9/</Prefix>"
        b"</CommonPrefixes><NextContinuationToken>p/a b</NextContinuationToken><EncodingType>url"
        b"</EncodingType></ListBucketResult>" % _NS
    ),
    b"<Error><Code>SlowDown</Code><Message>Please &amp; thank you</Message></Error>",
    b"<html><body>Please sign in.</body></html>",
    b"",
]
_VALUES = [
    b'"9b2cf535f27731c974343645a3985328"',
    b"Thu, 26 Nov 2026 12:15:39 GMT",
    b"5242880",
    b"aws:kms",
    b"",
]
_NAMES = [
    b"etag",
    b"date",
    b"last-modified",
    b"content-length",
    b"retry-after",
    b"x-amz-server-side-encryption",
    b"x-amz-meta-\xff",
]

Reader = Callable[[Request, Response], Any]
_READERS: list[Reader] = [
    results.receipt,
    results.upload_id,
    results.completed,
    results.removed,
    results.object_info,
    results.parts_page,
    results.uploads_page,
    results.copied,
    partial(results.objects_page, prefix="p/"),
]


def _mutated(base: list[bytes]) -> st.SearchStrategy[bytes]:
    """Real bytes with a few pieces removed, doubled, or replaced by others."""

    def mutate(data: bytes, cuts: list[tuple[int, int, bytes]]) -> bytes:
        for at, length, instead in cuts:
            start = at % (len(data) + 1)
            data = data[:start] + instead + data[start + length :]
        return data

    pieces = st.one_of(
        st.binary(max_size=8), st.sampled_from([b"<", b"&", b"9" * 30, b"-1", b"]]>"])
    )
    cuts = st.lists(st.tuples(st.integers(0, 600), st.integers(0, 40), pieces), max_size=3)
    return st.builds(mutate, st.sampled_from(base), cuts)


_responses = st.builds(
    Response,
    status=st.sampled_from([200, 201, 204, 206, 301, 400, 403, 404, 500, 503]),
    headers=st.dictionaries(st.sampled_from(_NAMES), _mutated(_VALUES), max_size=5),
    body=_mutated(_DOCUMENTS),
)


@settings(max_examples=300)
@given(_responses)
def test_every_response_is_a_value_or_a_store_error(response: Response) -> None:
    _read_by_all(response)


@pytest.mark.long
@settings(max_examples=20_000)
@given(_responses)
def test_every_response_of_many_is_a_value_or_a_store_error(response: Response) -> None:
    _read_by_all(response)


def _read_by_all(response: Response) -> None:
    refusal = results.error_of(_REQUEST, response)
    assert refusal is None or str(refusal)
    for read in _READERS:
        try:
            result = read(_REQUEST, response)
        except StoreError as raised:
            error = raised
        else:
            # What is promised is never empty.
            assert result is None or result
            assert getattr(result, "etag", "-") or read is results.completed
            continue
        assert error.retryable
        assert "a key" in str(error)


@pytest.mark.parametrize("status", [0, 199, 304, 399, 600, 999])
def test_unexpected_status_is_a_bad_response(status: int) -> None:
    error = results.error_of(_REQUEST, Response(status, {}))
    assert error is not None
    assert (error.code, error.retryable) == ("store.bad_response", True)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"<Error><Code>SlowDown</Code></Error>", "SlowDown"),
        (b"<Error %b><Code> SlowDown\n</Code></Error>" % _NS, "SlowDown"),
        (b"<e:Error xmlns:e='u'><e:Code>SlowDown</e:Code></e:Error>", "SlowDown"),
        (b"<Error><Code>SlowDown</Code><Key>a & b</Key></Error>", "SlowDown"),
        (b"<Error><Code>SlowDown</Code><Mess", "SlowDown"),
        (b"<html>SlowDown</html>", ""),
    ],
)
def test_error_is_read_however_its_document_is_written(body: bytes, code: str) -> None:
    error = results.error_of(_REQUEST, Response(400, {}, body))
    assert error is not None
    assert error.s3_code == code


def _page(contents: str, encoding: str = "url", prefix: str = "") -> ListedPage:
    body = f"<ListBucketResult><EncodingType>{encoding}</EncodingType>{contents}</ListBucketResult>"
    response = Response(200, {}, body.encode())
    page, token = results.objects_page(_REQUEST, response, prefix=prefix)
    assert token is None
    return page


@pytest.mark.parametrize(
    ("shown", "encoding", "key"),
    [
        ("a+b", "url", "a b"),
        ("a%20b", "url", "a b"),
        ("a%2Bb", "url", "a+b"),
        ("100%2525", "url", "100%25"),
        ("%E6%A8%A1", "url", "模"),
        ("a%01b", "url", "a\x01b"),
        ("a+b%20&lt;", "", "a+b%20<"),
        (" a ", "", " a "),
    ],
)
def test_key_is_decoded_as_it_was_encoded(shown: str, encoding: str, key: str) -> None:
    contents = (
        f"<Contents><Key>{shown}</Key><Size>1</Size></Contents>"
        f"<CommonPrefixes><Prefix>{shown}/</Prefix></CommonPrefixes>"
    )
    page = _page(contents, encoding)
    assert page == ListedPage([ListedObject(key, 1)], [f"{key}/"])


def test_entry_of_a_listing_is_read() -> None:
    contents = (
        "<Contents><Key>k</Key><Size> 12 </Size><ETag>W/&quot;a&quot;</ETag>"
        "<LastModified>1970-01-01T00:01:00.500Z</LastModified><Owner><ID>o</ID></Owner></Contents>"
    )
    assert _page(contents).objects == [ListedObject("k", 12, "a", 60.5)]


@pytest.mark.parametrize(
    "contents",
    [
        "<Contents><Size>1</Size></Contents>",
        "<Contents><Key></Key><Size>1</Size></Contents>",
        "<Contents><Key>p/a</Key></Contents>",
        "<Contents><Key>p/a</Key><Size>-1</Size></Contents>",
        "<Contents><Key>p/a</Key><Size>1</Size><ETag>a b</ETag></Contents>",
        "<Contents><Key>p/%FF</Key><Size>1</Size></Contents>",
        "<Contents><Key>q/a</Key><Size>1</Size></Contents>",
        "<Contents><Key>P/a</Key><Size>1</Size></Contents>",
        "<CommonPrefixes><Prefix>q/</Prefix></CommonPrefixes>",
        "<CommonPrefixes/>",
        "<IsTruncated>true</IsTruncated>",
        "<IsTruncated>yes</IsTruncated>",
    ],
)
def test_listing_of_anything_else_is_an_error(contents: str) -> None:
    """A key outside the prefix might be deleted by mistake."""
    with pytest.raises(StoreError) as caught:
        _page(contents, prefix="p/")
    assert caught.value.code == "store.bad_response"
