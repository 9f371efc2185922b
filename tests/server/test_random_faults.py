"""Several faults at once, drawn from a seed: whatever happens, no lie, no hang, nothing lost."""

from pathlib import Path
from random import Random

import pytest

from behind_proxy import PART
from conftest import Bucket
from random_runs import CHANGING, RUN_SECONDS, SENDING, Draw, draw_fault, draw_run, perform, seeds
from s3_uploader.sizes import MIB
from s3_uploader.testing import (
    Drip,
    DropMetadata,
    Fault,
    FlipBit,
    LocalS3Server,
    LoseResponse,
    MissingPart,
    Reset,
    Respond,
    ShortPart,
    Stall,
    WrongETag,
)

QUICK, LONG = 12, 500

_ANY = (*CHANGING, "HeadObject", "ListParts", "ListMultipartUploads", "AbortMultipartUpload")


def _side(rng: Random) -> tuple[int, str]:
    side = rng.choice(["request", "response"])
    return rng.choice([0, 1, rng.randrange(400), rng.randrange(6 * MIB)]), side


def _answer(rng: Random) -> Fault:
    status = rng.choice([500, 502, 503, 504, 408, 429, 524])
    return draw_fault(rng, _ANY, Respond(status, when=rng.choice(["before", "after"])))


def _reset(rng: Random) -> Fault:
    after, side = _side(rng)
    return draw_fault(rng, _ANY, Reset(after, "response" if side == "response" else "request"))


def _stall(rng: Random) -> Fault:
    after, side = _side(rng)
    seconds = rng.choice([None, 0.2, 0.9])
    effect = Stall(after, "response" if side == "response" else "request", seconds)
    return draw_fault(rng, CHANGING, effect, few=True)


def _gone(rng: Random) -> Fault:
    status, code = rng.choice([(404, "NoSuchUpload"), (400, "InvalidPart"), (200, "InternalError")])
    effect = Respond(status, code, when=rng.choice(["before", "after"]))
    return draw_fault(rng, ("CompleteMultipartUpload",), effect)


DRAWS: list[Draw] = [
    _answer,
    _answer,
    _reset,
    _reset,
    _stall,
    _gone,
    lambda rng: draw_fault(rng, CHANGING, LoseResponse()),
    lambda rng: draw_fault(rng, SENDING, Drip(rng.choice([2e5, 2e6])), few=True),
    lambda rng: draw_fault(rng, SENDING, FlipBit()),
    lambda rng: draw_fault(rng, (*SENDING, "CompleteMultipartUpload"), WrongETag()),
    lambda rng: draw_fault(rng, _ANY, Respond(429, headers={"Retry-After": "0"})),
    lambda rng: draw_fault(rng, ("HeadObject",), Respond(rng.choice([403, 404])), few=True),
    lambda _rng: Fault("HeadObject", DropMetadata()),
    lambda rng: draw_fault(rng, ("ListParts",), ShortPart(rng.randint(1, 2))),
    lambda rng: draw_fault(rng, ("ListParts",), MissingPart(rng.randint(1, 2))),
]


def _faults(rng: Random) -> list[Fault]:
    return [rng.choice(DRAWS)(rng) for _ in range(rng.randint(2, 5))]


@pytest.mark.anyio
@pytest.mark.timeout(2 * RUN_SECONDS + 60)
@pytest.mark.parametrize("seed", seeds(QUICK, LONG))
async def test_report_is_true_whatever_happens(
    server: LocalS3Server, bucket: Bucket, tmp_path: Path, prefix: str, seed: int
) -> None:
    run = draw_run(seed, _faults, lanes=["wire", "wire", "boto"], older=0.5)
    await perform(run, server, bucket, tmp_path, prefix)


def test_every_kind_of_fault_is_drawn() -> None:
    """A list of faults that are never drawn would test nothing."""
    drawn = {
        type(fault.effect).__name__
        for seed in range(QUICK + LONG)
        for fault in _faults(Random(seed))  # noqa: S311
    }
    assert drawn >= {
        *("Respond", "LoseResponse", "Reset", "Stall", "Drip", "FlipBit", "WrongETag"),
        *("DropMetadata", "ShortPart", "MissingPart"),
    }
    assert PART < 6 * MIB
