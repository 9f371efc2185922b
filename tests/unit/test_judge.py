"""The truth tables of what became of a request, without a store.

Each table is a partition: exactly one row is true of each combination of what can be known.
"""

import itertools
from collections.abc import Callable, Iterator
from typing import Any, get_args

import pytest

from s3_uploader.engine.outcome.judge import (
    Attempts,
    CompleteCase,
    Likeness,
    UploadState,
    judge_complete,
    judge_failure,
    judge_put,
    judge_response,
    may_have_committed,
)
from s3_uploader.errors import ResourceError, StoreError
from s3_uploader.store.errors import NO_CONNECTION

_BOOL = {"yes": True, "no": False}
_LIKENESS = dict(zip(get_args(Likeness), get_args(Likeness), strict=True))
_UPLOAD = dict(zip(get_args(UploadState), get_args(UploadState), strict=True))


def rows(table: str) -> Iterator[tuple[list[set[str]], str]]:
    for line in table.strip().splitlines():
        *conditions, step = line.split()
        yield [set(condition.split("|")) for condition in conditions], step.replace("_", " ")


def check(table: str, domains: list[dict[str, Any]], judge: Callable[..., str]) -> int:
    """Compare `judge` with the table for every combination; return how many there are."""
    combinations = list(itertools.product(*domains))
    for names in combinations:
        steps = [
            step
            for conditions, step in rows(table)
            if all(
                "*" in allowed or name in allowed
                for name, allowed in zip(names, conditions, strict=True)
            )
        ]
        assert len(steps) == 1, f"{names}: {len(steps)} rows"
        values = [domain[name] for domain, name in zip(domains, names, strict=True)]
        assert judge(*values) == steps[0], names
    return len(combinations)


def test_outcome_of_a_put() -> None:
    # unlikely possible in_flight seen last -> step
    table = """
        no   *  *    *                           *    failed
        yes  *  *    ours|same                   *    committed
        yes  *  *    none                        *    look
        yes  *  *    damaged|other|absent|unseen no   look
        yes  *  no   absent|other                yes  failed
        yes  *  yes  absent|other                yes  unknown
        yes  *  *    damaged|unseen              yes  unknown
    """
    domains = [_BOOL, _BOOL, _BOOL, _LIKENESS | {"none": None}, _BOOL]

    def judge(*values: Any) -> str:
        return judge_put(Attempts(*values[:3]), values[3], last=values[4])

    assert check(table, domains, judge) == 112


def test_outcome_of_a_failed_complete() -> None:
    # possible retries upload seen listed time -> step
    table = """
        *    *    *            damaged                   *    *    damaged
        *    *    *            ours                      *    *    committed
        *    *    gone         same                      *    *    committed
        *    no   unsure       same                      no   *    list
        *    *    *            other|absent|unseen       *    yes  look
        *    *    open         same                      *    yes  look
        *    yes  unsure       same                      *    yes  look
        *    no   unsure       same                      yes  yes  look
        *    yes  open|unsure  same|other|absent|unseen  *    no   retry
        *    *    gone         other|absent|unseen       *    no   unknown
        yes  no   open         same|other|absent|unseen  *    no   unknown
        no   no   open         same|other|absent|unseen  *    no   failed
        *    no   unsure       other|absent|unseen       *    no   unknown
        *    no   unsure       same                      yes  no   unknown
    """
    domains = [_BOOL, _BOOL, _UPLOAD, _LIKENESS, _BOOL, _BOOL]

    def judge(*values: Any) -> str:
        possible, retries, upload, seen, listed, time_left = values
        case = CompleteCase(possible, retries, upload)
        return judge_complete(case, seen, listed=listed, time_left=time_left)

    assert check(table, domains, judge) == 288


def test_outcome_of_a_complete_with_another_etag() -> None:
    # seen settled time -> step
    table = """
        ours|same             *    *    committed
        damaged               *    *    damaged
        other                 yes  *    as_told
        other                 no   yes  look
        other                 no   no   unknown
        absent|unseen         *    yes  look
        absent|unseen         *    no   unknown
    """

    def judge(seen: Likeness, settled: bool, time_left: bool) -> str:  # noqa: FBT001  (a row's)
        return judge_response(seen, settled=settled, time_left=time_left)

    assert check(table, [_LIKENESS, _BOOL, _BOOL], judge) == 24


@pytest.mark.parametrize("s3_code", ["", "NoSuchUpload", "InvalidPart", "AccessDenied"])
def test_next_step_after_a_failed_complete(s3_code: str) -> None:
    # retryable possible retries -> step
    consumed = s3_code in {"NoSuchUpload", "InvalidPart"}
    table = "* * * list" if consumed else "no no * failed\nno yes yes look\nno yes no list\n"
    table += "" if consumed else "yes * yes look\nyes * no list"

    def judge(retryable: bool, possible: bool, retries: bool) -> str:  # noqa: FBT001  (a row's)
        error = StoreError("store.busy", s3_code=s3_code, retryable=retryable)
        return judge_failure(error, CompleteCase(possible, retries))

    assert check(table, [_BOOL, _BOOL, _BOOL], judge) == 8


_ERRORS = [
    # error -> unlikely possible in_flight
    (StoreError("store.busy", status=500, retryable=True), (True, True, False)),
    (StoreError("store.busy", status=503, retryable=True), (True, False, False)),
    (StoreError("store.busy", status=429, retryable=True), (True, False, False)),
    (StoreError("store.busy", status=502, retryable=True), (True, True, True)),
    (StoreError("store.busy", status=504, retryable=True), (True, True, True)),
    (StoreError("store.busy", status=524, retryable=True), (True, True, True)),
    (StoreError("store.busy", status=520, retryable=True), (True, True, True)),
    (StoreError("store.busy", status=527, retryable=True), (True, True, True)),
    (StoreError("store.busy", status=528, retryable=True), (True, True, False)),
    (StoreError("store.busy", status=519, retryable=True), (True, True, False)),
    (StoreError("store.reset", retryable=True), (True, True, True)),
    (StoreError("store.timeout", retryable=True), (True, True, True)),
    (StoreError("store.timeout", retryable=True, detail=NO_CONNECTION), (False, False, False)),
    (StoreError("store.refused", retryable=True), (False, False, False)),
    (StoreError("store.unknown_host", retryable=True), (False, False, False)),
    (StoreError("store.tls", retryable=True), (False, False, False)),
    (StoreError("store.bad_response", status=200, retryable=True), (True, True, True)),
    (StoreError("store.access_denied", status=403), (False, False, False)),
    (ResourceError("process.descriptors", retryable=True), (False, False, False)),
    (ResourceError("process.memory", retryable=True), (True, True, True)),
]


@pytest.mark.parametrize(
    ("error", "expected"), _ERRORS, ids=[f"{error.code}-{error.status}" for error, _ in _ERRORS]
)
def test_possibilities_after_a_failed_attempt(
    error: StoreError, expected: tuple[bool, bool, bool]
) -> None:
    attempts = Attempts()
    attempts.record(error)
    assert (attempts.unlikely, attempts.possible, attempts.in_flight) == expected
    assert may_have_committed(error) is expected[1]


def test_later_attempts_never_exclude_a_possibility() -> None:
    attempts = Attempts()
    for error, _ in _ERRORS:
        before = (attempts.unlikely, attempts.possible, attempts.in_flight)
        attempts.record(error)
        after = (attempts.unlikely, attempts.possible, attempts.in_flight)
        assert all(now >= then for now, then in zip(after, before, strict=True))
    assert attempts == Attempts(unlikely=True, possible=True, in_flight=True)
