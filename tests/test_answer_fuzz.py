"""Whatever a peer sends, the reader of answers gives an answer or says that it is none."""

from itertools import pairwise

from hypothesis import example, given, settings
from hypothesis import strategies as st

from s3_uploader.store.wire.answer import Answer, AnswerReader, MalformedAnswerError

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
def test_no_bytes_raise_anything_else(pieces: list[bytes]) -> None:
    reader = AnswerReader()
    try:
        for piece in pieces:
            answer = reader.feed(piece)
            assert answer is None or isinstance(answer, Answer)
        reader.end()
    except MalformedAnswerError:
        return


@given(st.lists(st.integers(1, len(_WHOLE) - 1), max_size=12))
def test_an_answer_reads_the_same_however_it_is_cut(cuts: list[int]) -> None:
    reader = AnswerReader()
    edges = sorted({0, *cuts, len(_WHOLE)})
    answers = [reader.feed(_WHOLE[start:end]) for start, end in pairwise(edges)]
    answer = answers[-1]
    assert answer is not None
    assert not any(answers[:-1])
    assert (answer.status, answer.header(b"etag"), answer.keep_alive) == (503, '"x"', True)
    assert answer.text(b"Code") == "Slow&Down"


def test_headers_without_end_are_refused() -> None:
    reader = AnswerReader()
    reader.feed(b"HTTP/1.1 200 OK\r\n")
    try:
        for _ in range(100):
            reader.feed(b"X-Header: " + b"y" * 1000 + b"\r\n")
    except MalformedAnswerError:
        return
    raise AssertionError("100 kB of headers were accepted")


def test_a_body_is_kept_only_in_its_beginning() -> None:
    reader = AnswerReader()
    reader.feed(b"HTTP/1.1 200 OK\r\nContent-Length: 5000000\r\n\r\n")
    answer = None
    for _ in range(1000):
        answer = reader.feed(b"x" * 5000)
    assert answer is not None
    assert len(answer.body) == 4 * 1024 * 1024


def test_the_answer_to_a_head_has_no_body_whatever_it_says() -> None:
    reader = AnswerReader()
    reader.expect(bodiless=True)
    answer = reader.feed(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
    assert answer is not None
    assert answer.header(b"content-length") == "1000"
    reader.expect()
    assert reader.feed(b"HTTP/1.1 204 No Content\r\n\r\n") is not None
