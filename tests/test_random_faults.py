"""Several faults at once, drawn from a seed: whatever happens, no lie, no hang, nothing lost."""

import shutil
from collections.abc import Callable
from pathlib import Path
from random import Random

import anyio
import pytest

from conftest import Bucket
from faulty import PART, Site, site
from s3_uploader import UploadReport
from s3_uploader.plan import MIB
from s3_uploader.testing import (
    Answer,
    Drip,
    DropMetadata,
    Effect,
    Fault,
    FlipBit,
    LocalS3Server,
    LoseAnswer,
    MissingPart,
    Reset,
    ShortPart,
    Stall,
    WrongETag,
)
from trees import make_tree

QUICK, LONG = 12, 500
RUN_SECONDS = 90
"""A run that takes longer hangs: the timeouts below are all far shorter."""

_SENDING = ("PutObject", "UploadPart")
_CHANGING = (*_SENDING, "CreateMultipartUpload", "CompleteMultipartUpload")
_ANY = (*_CHANGING, "HeadObject", "ListParts", "AbortMultipartUpload")

Draw = Callable[[Random], Fault]


def _fault(rng: Random, operations: tuple[str, ...], effect: Effect, *, few: bool = False) -> Fault:
    """Return the effect on an operation drawn: now and then, at first, or each time."""
    operation = rng.choice(operations)
    number = rng.randint(1, 3)
    if few:
        return Fault(operation, effect, first=number, per=rng.choice(["proxy", "key"]))
    choice = rng.randrange(6)
    if choice == 0:
        return Fault(operation, effect, nth=number)
    if choice == 1:
        return Fault(operation, effect, every=number + 1)
    if choice == 2:
        return Fault(operation, effect, probability=rng.choice([0.2, 0.5, 0.8]))
    if choice == 3:
        return Fault(operation, effect, key=rng.choice(["*big", "*mid", "*tiny*"]))
    if choice == 4:
        return Fault(operation, effect, first=number, per="key")
    return Fault(operation, effect, first=number)


def _side(rng: Random) -> tuple[int, str]:
    side = rng.choice(["request", "answer"])
    return rng.choice([0, 1, rng.randrange(400), rng.randrange(6 * MIB)]), side


def _answer(rng: Random) -> Fault:
    status = rng.choice([500, 502, 503, 504, 408, 429, 524])
    return _fault(rng, _ANY, Answer(status, when=rng.choice(["before", "after"])))


def _reset(rng: Random) -> Fault:
    after, side = _side(rng)
    return _fault(rng, _ANY, Reset(after, "answer" if side == "answer" else "request"))


def _stall(rng: Random) -> Fault:
    after, side = _side(rng)
    seconds = rng.choice([None, 0.2, 0.9])
    effect = Stall(after, "answer" if side == "answer" else "request", seconds)
    return _fault(rng, _CHANGING, effect, few=True)


def _gone(rng: Random) -> Fault:
    status, code = rng.choice([(404, "NoSuchUpload"), (400, "InvalidPart"), (200, "InternalError")])
    effect = Answer(status, code, when=rng.choice(["before", "after"]))
    return _fault(rng, ("CompleteMultipartUpload",), effect)


DRAWS: list[Draw] = [
    _answer,
    _answer,
    _reset,
    _reset,
    _stall,
    _gone,
    lambda rng: _fault(rng, _CHANGING, LoseAnswer()),
    lambda rng: _fault(rng, _SENDING, Drip(rng.choice([2e5, 2e6])), few=True),
    lambda rng: _fault(rng, _SENDING, FlipBit()),
    lambda rng: _fault(rng, (*_SENDING, "CompleteMultipartUpload"), WrongETag()),
    lambda rng: _fault(rng, _ANY, Answer(429, headers={"Retry-After": "0"})),
    lambda rng: _fault(rng, ("HeadObject",), Answer(rng.choice([403, 404])), few=True),
    lambda _rng: Fault("HeadObject", DropMetadata()),
    lambda rng: _fault(rng, ("ListParts",), ShortPart(rng.randint(1, 2))),
    lambda rng: _fault(rng, ("ListParts",), MissingPart(rng.randint(1, 2))),
]


def seeds() -> list[object]:
    marked = [pytest.param(seed, marks=pytest.mark.long) for seed in range(QUICK, QUICK + LONG)]
    return [*range(QUICK), *marked]


@pytest.mark.anyio
@pytest.mark.timeout(2 * RUN_SECONDS + 60)
@pytest.mark.parametrize("seed", seeds())
async def test_whatever_happens_the_report_is_true(
    server: LocalS3Server, bucket: Bucket, tmp_path: Path, prefix: str, seed: int
) -> None:
    rng = Random(seed)  # noqa: S311  (repeatable, no secret)
    sizes = {
        **{f"tiny{number}": rng.randrange(3_000) for number in range(4)},
        "empty": 0,
        "mid": 300 * 1024,
        "big": 6 * MIB,
    }
    content = make_tree(tmp_path / "t", {name: rng.randbytes(size) for name, size in sizes.items()})
    faults = [rng.choice(DRAWS)(rng) for _ in range(rng.randint(2, 5))]
    if rng.random() < 0.5:
        older = {name: rng.randbytes(size) for name, size in sizes.items()}
        for name in ("big", "mid"):
            bucket.client.put_object(Bucket=bucket.name, Key=f"{prefix}/{name}", Body=older[name])
    story = f"seed {seed}: {faults}"
    try:
        async with site(
            server,
            bucket,
            *faults,
            seed=seed,
            lane=rng.choice(["wire", "wire", "boto"]),
            max_attempts=rng.choice([2, 4]),
            stall_timeout=0.5,
            response_timeout=0.7,
            outcome_timeout=2.0,
            journal=str(tmp_path / "journal.db"),
        ) as opened:
            report = await upload(opened, tmp_path / "t", prefix, story)
            check(bucket, prefix, content, report, story)
            await check_open_uploads(opened, prefix, story)
            # Once the store behaves again, all of it goes up, and nothing is left open.
            opened.proxy.clear()
            opened.proxy.release()
            report = await upload(opened, tmp_path / "t", prefix, story)
            assert report.ok, f"{story}: {report.failures}"
            check(bucket, prefix, content, report, story)
            await check_open_uploads(opened, prefix, story, none=True)
    finally:
        clean(bucket, prefix)
        shutil.rmtree(tmp_path)


async def upload(opened: Site, root: Path, prefix: str, story: str) -> UploadReport:
    with anyio.move_on_after(RUN_SECONDS):
        return await opened.uploader.upload_directory(root, prefix)
    raise AssertionError(f"{story}: hangs; {opened.proxy.log[-5:]}")


def check(
    bucket: Bucket, prefix: str, content: dict[str, bytes], report: UploadReport, story: str
) -> None:
    """Compare what is said of each file with what is at the store."""
    assert {outcome.name for outcome in report.files} == set(content), story
    stored = bucket.tree(prefix)
    for outcome in report.files:
        right = stored.get(outcome.name) == content[outcome.name]
        if outcome.status == "committed":
            assert right, f"{story}: {outcome} is not what is there"
        elif outcome.status == "failed" and not outcome.error.startswith("integrity."):
            assert not right, f"{story}: {outcome} is there"
        else:
            assert outcome.error.startswith(("integrity.", "outcome.unknown")), story


async def check_open_uploads(opened: Site, prefix: str, story: str, *, none: bool = False) -> None:
    """Look for uploads that are open and not in the journal, and so known to nobody.

    The id of one whose creation was never answered was never heard: those may be left.
    """
    open_now = opened.bucket.client.list_multipart_uploads(
        Bucket=opened.bucket.name, Prefix=f"{prefix}/"
    ).get("Uploads", [])
    noted = {entry.upload_id for entry in await opened.uploader.pending_uploads(prefix)}
    unheard = sum(
        record.operation == "CreateMultipartUpload"
        and record.upstream_status in {200, None}
        and record.fault is not None
        for record in opened.proxy.log
    )
    strangers = {entry["UploadId"] for entry in open_now} - noted
    assert len(strangers) <= unheard, f"{story}: {strangers} are not in the journal"
    if none:
        assert not noted, f"{story}: {noted} are left"


def clean(bucket: Bucket, prefix: str) -> None:
    place = {"Bucket": bucket.name}
    for entry in bucket.client.list_multipart_uploads(**place).get("Uploads", []):
        if entry["Key"].startswith(f"{prefix}/"):
            bucket.client.abort_multipart_upload(
                **place, Key=entry["Key"], UploadId=entry["UploadId"]
            )
    for entry in bucket.client.list_objects_v2(**place, Prefix=f"{prefix}/").get("Contents", []):
        bucket.client.delete_object(**place, Key=entry["Key"])


def test_every_kind_of_fault_is_drawn() -> None:
    """A list of faults that are never drawn would test nothing."""
    drawn = {
        type(rng_fault.effect).__name__
        for seed in range(QUICK + LONG)
        for rng_fault in [DRAWS[seed % len(DRAWS)](Random(seed))]  # noqa: S311
    }
    assert drawn >= {
        *("Answer", "LoseAnswer", "Reset", "Stall", "Drip", "FlipBit", "WrongETag"),
        *("DropMetadata", "ShortPart", "MissingPart"),
    }
    assert PART < 6 * MIB
