"""Whatever a peer sends, the parser makes a response of it or says that it is none."""

from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from s3_uploader.store.response import MAX_BODY, Response
from s3_uploader.store.wire.parser import MalformedResponseError, ResponseParser

_BODY = b"<Error><Code>Slow&amp;Down</Code></Error>"
_WHOLE = (
    b"HTTP/1.1 100 Continue\r\n\r\n"
    b'HTTP/1.1 503 Slow Down\r\nETag: "x"\r\nContent-Length: %d\r\n\r\n%b' % (len(_BODY), _BODY)
)

_pieces = st.lists(
    st.one_of(
        st.binary(max_size=60),
        st.sampled_from(
            [
                b"HTTP/1.1 200 OK\r\n",
                b"HTTP/1.0 204\r\n",
                b"Content-Length: 5\r\n",
                b"Content-Length: -1\r\n",
                b"Transfer-Encoding: chunked\r\n",
                b"Connection: upgrade\r\nUpgrade: x\r\n",
                b"\r\n",
                b"5\r\nhello\r\n0\r\n\r\n",
            ]
        ),
    ),
    max_size=12,
)


@settings(max_examples=600)
@given(_pieces)
@example([b"HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n", b"data"])
def test_no_bytes_raise_any_other_error(pieces: list[bytes]) -> None:
    parser = ResponseParser()
    try:
        for piece in pieces:
            response = parser.feed(piece)
            assert response is None or isinstance(response, Response)
        parser.end()
    except MalformedResponseError:
        return


@given(st.lists(st.integers(1, len(_WHOLE) - 1), max_size=12))
def test_response_reads_the_same_however_it_is_cut(cuts: list[int]) -> None:
    parser = ResponseParser()
    edges = sorted({0, *cuts, len(_WHOLE)})
    responses = [parser.feed(_WHOLE[start:end]) for start, end in pairwise(edges)]
    response = responses[-1]
    assert response is not None
    assert not any(responses[:-1])
    assert (response.status, response.header(b"etag"), response.keep_alive) == (503, '"x"', True)
    root = response.document()
    assert root is not None
    assert root.value("Code") == "Slow&Down"


def test_headers_without_end_are_refused() -> None:
    parser = ResponseParser()
    parser.feed(b"HTTP/1.1 200 OK\r\n")
    try:
        for _ in range(100):
            parser.feed(b"X-Header: " + b"y" * 1000 + b"\r\n")
    except MalformedResponseError:
        return
    raise AssertionError("100 kB of headers were accepted")


def _fed_until_refused(start: bytes, piece: bytes, most: int) -> int:
    """Return how many bytes the parser takes of what `piece` repeats without end."""
    parser = ResponseParser()
    parser.feed(start)
    fed = 0
    try:
        while fed <= most:
            assert parser.feed(piece) is None
            fed += len(piece)
    except MalformedResponseError:
        return fed
    raise AssertionError(f"{fed} bytes were accepted")


_CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    ("start", "piece", "most"),
    [
        pytest.param(b"", b"HTTP/1.1 100 Continue\r\n\r\n", 100_000, id="informational"),
        pytest.param(b"HTTP/1.1 200 OK\r\n\r\n", b"x" * 65_536, MAX_BODY, id="body"),
        pytest.param(_CHUNKED, b"10000\r\n%b\r\n" % (b"x" * 65_536), MAX_BODY, id="chunks"),
        pytest.param(
            _CHUNKED + b"0\r\n", b"X-Trailer: %b\r\n" % (b"y" * 900), 100_000, id="trailers"
        ),
        pytest.param(_CHUNKED + b"0\r\nX-Trailer: ", b"y" * 900, 100_000, id="a-trailer"),
        pytest.param(_CHUNKED + b"5;a=", b"y" * 900, 100_000, id="a-chunk-extension"),
    ],
)
def test_endless_responses_are_refused(start: bytes, piece: bytes, most: int) -> None:
    assert _fed_until_refused(start, piece, most + 70_000) > 0


def test_body_in_chunks_of_a_byte_is_read() -> None:
    parser = ResponseParser()
    parser.feed(_CHUNKED)
    for _ in range(50_000):
        assert parser.feed(b"1\r\nx\r\n") is None
    response = parser.feed(b"0\r\n\r\n")
    assert response is not None
    assert response.body == b"x" * 50_000


def test_response_to_head_never_has_a_body() -> None:
    parser = ResponseParser()
    parser.expect(bodiless=True)
    response = parser.feed(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
    assert response is not None
    assert response.header(b"content-length") == "1000"
    parser.expect()
    assert parser.feed(b"HTTP/1.1 204 No Content\r\n\r\n") is not None
