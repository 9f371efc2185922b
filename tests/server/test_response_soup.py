"""Responses changed in ways drawn from a seed: no false success, no hang, no escape, no orphan.

The request soup is `test_random_faults.py`. Here the server does what it is asked, and what comes
back is not what it said; or it is not asked at all, and somebody else says yes.
"""

from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest

from conftest import Bucket
from lanes import Server
from random_runs import CHANGING, RUN_SECONDS, SENDING, TAKEN, Run, draw_fault, draw_run, perform
from s3_uploader.testing import (
    Chunk,
    DropMetadata,
    Effect,
    Fault,
    Flood,
    Header,
    LoseResponse,
    Namespace,
    Pace,
    RepeatToken,
    ReplaceBody,
    Reset,
    Respond,
    SetElement,
    Status,
    Truncate,
    WrongETag,
)

QUICK, LONG = 40, 500

_LISTINGS = ("ListParts", "ListMultipartUploads")
_XML = ("CreateMultipartUpload", "CompleteMultipartUpload", *_LISTINGS)
_WITH_BODY = (*CHANGING, *_LISTINGS, "AbortMultipartUpload")
_ALL = (*_WITH_BODY, "HeadObject")

_DECOY = "decoy"
"""A key of which everything is said to have succeeded: where redirects lead."""

_NOT_XML = ["", "html", "error", "error-with-namespace", "<", "null", "\N{SNOWMAN}"]


def _status(rng: Random) -> tuple[tuple[str, ...], Effect]:
    # None that refuses: the store would have done what it says it will not do.
    unclear = [100, 201, 202, 204, 206, 299, 408, 429, 500, 502, 503, 504, 524, 600, 999]
    return _ALL, Status(rng.choice(unclear))


def _etag(rng: Random) -> tuple[tuple[str, ...], Effect]:
    effects: list[Effect] = [
        *(Header("ETag", change) for change in ("drop", "double", "case", "unquote")),
        *(Header("ETag", "set", value) for value in ("", '""', 'W/"1"', "\xff\xfe", "x" * 9_000)),
        Header("ETag", "double", '"00000000000000000000000000000000"'),
    ]
    return (*SENDING, "HeadObject"), rng.choice(effects)


def _length(rng: Random) -> tuple[tuple[str, ...], Effect]:
    values = ["", "abc", "-1", "1e3", "99999999", "9" * 5_000, "0"]
    effects: list[Effect] = [
        Header("Content-Length"),
        Header("Content-Length", "case"),
        Header("Content-Length", "double"),
        Header("Content-Length", "double", "7"),
        *(Header("Content-Length", "set", value) for value in values),
    ]
    return _ALL, rng.choice(effects)


def _date(rng: Random) -> tuple[tuple[str, ...], Effect]:
    values = [
        *("", "yesterday", "0", "Thu, 01 Jan 1970 00:00:00 GMT", "Mon, 31 Feb 2024 99:99:99 GMT"),
        *("Fri, 31 Dec 9999 23:59:59 GMT", "Wed, 01 Jan 99999 00:00:00 GMT"),
    ]
    name = rng.choice(["Date", "Last-Modified"])
    change = Header(name) if rng.random() < 0.2 else Header(name, "set", rng.choice(values))
    return (*CHANGING, "HeadObject", "HeadObject"), change


def _other_header(rng: Random) -> tuple[tuple[str, ...], Effect]:
    headers = {
        "Transfer-Encoding": ["chunked", "gzip", "identity", "chunked, chunked"],
        "Content-Encoding": ["gzip", "br", "zstd", "deflate", "nonsense"],
        "Content-Type": ["text/html", "", "application/xml; charset=utf-16", "a;charset=no-such"],
        "Connection": ["close", "upgrade", ""],
        "Set-Cookie": ["a=b", "=", "\xff" * 100],
        "Location": ["/elsewhere"],
        "x-amz-checksum-crc64nvme": ["", "AAAAAAAAAAA=", "no"],
        "x-amz-meta-s3-uploader-token": ["", "somebody-else-s"],
        "Retry-After": ["soon", "-1", "nan", "1e999"],
    }
    name = rng.choice(list(headers))
    return _ALL, Header(name, "set", rng.choice(headers[name]))


def _body(rng: Random) -> tuple[tuple[str, ...], Effect]:
    return _WITH_BODY, ReplaceBody(rng.choice(_NOT_XML))


def _element(rng: Random) -> tuple[tuple[str, ...], Effect]:
    texts: dict[str, list[str | None]] = {
        "UploadId": [None, "", " "],
        "ETag": [None, "", "&quot;", "x"],
        "Size": [None, "", "many", "-1", "1.5", "9" * 5_000],
        "PartNumber": [None, "", "first", "-1", "0", "9" * 5_000],
        "Initiated": [None, "", "now", "2024-13-45T99:99:99Z", "99999-01-01T00:00:00Z"],
        "IsTruncated": [None, "", "maybe", "true"],
        "Key": [None, "", "other"],
    }
    element = rng.choice(list(texts))
    return _XML, SetElement(element, rng.choice(texts[element]))


def _flood(rng: Random) -> tuple[tuple[str, ...], Effect]:
    places: list[Any] = ["interim", "head", "body", "trailers", "after"]
    return _ALL, Flood(rng.choice(places), rng.choice([40, 40, 5_000, 2_000_000, 4 * TAKEN]))


def _drip(rng: Random) -> tuple[tuple[str, ...], Effect]:
    """Return a response that comes byte by byte, to its end or for ever."""
    drip = Pace(1, rng.choice([0.05, 0.3]))
    return _ALL, rng.choice([drip, Flood("head") + drip, Flood("interim") + drip])


def _not_the_store_s(rng: Random) -> tuple[tuple[str, ...], Effect]:
    """Return a success, of the right request or of none, that is not the store's."""
    headers: list[dict[str, str]] = [{}, {}, {"ETag": '"' + "0" * 32 + '"'}, {"ETag": '"x"'}]
    effect = Respond(200, "", rng.choice(["before", "after"]), rng.choice(headers))
    # An Abort that did not happen cannot be distinguished from one that did.
    operations = (*CHANGING, *_LISTINGS)
    if rng.random() < 0.5:
        return (*operations, "HeadObject"), effect
    return operations, effect + ReplaceBody(rng.choice(_NOT_XML))


def _redirect(rng: Random) -> tuple[tuple[str, ...], Effect]:
    places = [f"/test-volume/{_DECOY}", "http://127.0.0.1:9/x", "https://127.0.0.1:9/x", "::", ""]
    place = rng.choice([places[0], *places])
    headers = {"Location": place} if place else {}
    return _ALL, Respond(rng.choice([301, 302, 303, 307, 308]), headers=headers)


KINDS: list[Callable[[Random], tuple[tuple[str, ...], Effect]]] = [
    _status,
    _etag,
    _length,
    _date,
    _other_header,
    _body,
    _element,
    _flood,
    _drip,
    _not_the_store_s,
    _not_the_store_s,
    _redirect,
    lambda rng: (_WITH_BODY, Truncate(rng.choice([None, None, 0, 1]))),
    lambda rng: (_XML, Namespace(rng.choice(["drop", "wrong", "prefix"]))),
    lambda rng: (_ALL, Chunk(rng.choice([1, 2, 1000]))),
    lambda rng: (_ALL, Pace(rng.choice([1, 1, 2, 7]))),
    lambda rng: (_WITH_BODY, Reset(rng.choice([0, 1, rng.randrange(400)]), "response", "fin")),
    lambda rng: (_LISTINGS, RepeatToken(rng.choice([0, 1, 2, 7]))),
    lambda _rng: ((*SENDING, "CompleteMultipartUpload", "HeadObject"), WrongETag()),
    lambda _rng: (("HeadObject",), DropMetadata()),
]
"""Each draws a mutation, and the operations it may happen to."""

TRIGGERS = (
    Fault("CreateMultipartUpload", LoseResponse(), nth=1),
    Fault("CompleteMultipartUpload", Respond(524, when="after"), nth=1),
    Fault("CompleteMultipartUpload", Respond(404, "NoSuchUpload", when="after"), first=2),
    Fault("PutObject", LoseResponse(), first=2),
    Fault("UploadPart", Respond(404, "NoSuchUpload"), nth=1),
)
"""What makes an uploader ask: HEAD and the listings are used only when something went wrong."""


def _mutation(rng: Random) -> Fault:
    kind = rng.choice(KINDS)
    operations, effect = kind(rng)
    if kind is not _not_the_store_s and rng.random() < 0.2:
        # What stands in between treats every response alike.
        return Fault("*", effect, probability=rng.choice([0.3, 1.0]))
    if rng.random() < 0.25:
        others, other = rng.choice(KINDS)(rng)
        shared = tuple(name for name in operations if name in others)
        if shared and type(other) is not type(effect):
            operations, effect = shared, effect + other
    return draw_fault(rng, operations, effect)


def _faults(rng: Random) -> list[Fault]:
    triggers = [rng.choice(TRIGGERS)] if rng.random() < 0.5 else []
    mutations = [_mutation(rng) for _ in range(rng.randint(1, 4))]
    return [*triggers, *mutations, Fault("*", Respond(200, ""), key=_DECOY)]


def _run(seed: int) -> Run:
    return draw_run(seed, _faults, lanes=["wire", "boto"], older=0.8)


def _cases() -> list[Any]:
    """Every day each seed at one of the servers, in the long form at both."""
    return [
        pytest.param(
            seed, name, marks=[pytest.mark.long] if seed >= QUICK or (seed % 2) != at else []
        )
        for seed in range(QUICK + LONG)
        for at, name in enumerate(("server", "rclone"))
    ]


@pytest.mark.anyio
@pytest.mark.timeout(2 * RUN_SECONDS + 60)
@pytest.mark.parametrize(("seed", "make"), _cases())
async def test_changed_response_is_never_believed(
    request: pytest.FixtureRequest, tmp_path: Path, prefix: str, seed: int, make: str
) -> None:
    server: Server = request.getfixturevalue(make)
    bucket: Bucket = request.getfixturevalue("bucket" if make == "server" else "rclone_bucket")
    await perform(_run(seed), server, bucket, tmp_path, prefix)


def test_every_kind_of_mutation_is_drawn() -> None:
    """Every day, at every operation, at both lanes: one that is never drawn would test nothing."""
    runs = [_run(seed) for seed in range(QUICK)]
    drawn = {
        type(effect).__name__
        for run in runs
        for fault in run.faults
        for effect in fault.effect.members
    }
    assert drawn >= {
        *("Status", "Header", "ReplaceBody", "Truncate", "SetElement", "Namespace", "Chunk"),
        *("Pace", "Flood", "Respond", "Reset", "RepeatToken", "DropMetadata", "WrongETag"),
    }
    assert {fault.operation for run in runs for fault in run.faults} >= set(_ALL)
    assert {(run.lane, run.seed % 2) for run in runs} == {
        (lane, make) for lane in ("wire", "boto") for make in (0, 1)
    }
    assert 20 < sum(bool(run.covered) for run in runs) < QUICK
