"""Random runs, repeatable by seed: a small tree is uploaded through faults, then without.

Whatever the faults are, the report is true, nothing hangs, nothing escapes, and no multipart upload
is left open that the journal does not know.
"""

import sqlite3
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from random import Random

import anyio
import pytest

from behind_proxy import PART, ProxyRig, behind_proxy
from conftest import Bucket
from lanes import Server
from s3_uploader import FileOutcome, UploadReport
from s3_uploader.sizes import MIB
from s3_uploader.testing import Drip, Effect, Fault, FlipBit, LoseResponse, Reset, Respond, Stall
from s3_uploader.testing.faults.spec import fault_text
from trees import make_tree

RUN_SECONDS = 30
"""A call that takes longer hangs: the timeouts below are all far shorter."""

TAKEN = 64 * MIB
"""More bytes of a response than this, its client would take for ever."""

SENDING = ("PutObject", "UploadPart")
CHANGING = (*SENDING, "CreateMultipartUpload", "CompleteMultipartUpload")

_HONEST = (Respond, Drip, FlipBit, LoseResponse, Reset, Stall)
"""Effects after which a response, if it comes, is true; except `Respond(200)`."""

_CHECKED_BEFORE = 256 * 1024
"""Bytes up to which a body carries its MD5, so that nothing else is ever published."""

Draw = Callable[[Random], Fault]


@dataclass(frozen=True)
class Run:
    """The random choices of a seed; as text, a failure names them.

    Attributes:
        sizes: the files of the tree, and their sizes.
        covered: those of them at whose keys an older object of the same size lies.
    """

    seed: int
    faults: Sequence[Fault]
    lane: str
    max_attempts: int
    sizes: Mapping[str, int] = field(repr=False)
    covered: Sequence[str]

    @cached_property
    def content(self) -> dict[str, bytes]:
        """The files of the tree."""
        return {name: self._bytes(name, "new") for name in self.sizes}

    def older(self, name: str) -> bytes:
        """Return the object that lies there before."""
        return self._bytes(name, "old")

    def _bytes(self, name: str, what: str) -> bytes:
        rng = Random(f"{self.seed} {name} {what}")  # noqa: S311  (repeatable, no secret)
        return rng.randbytes(self.sizes[name])

    @property
    def lies(self) -> bool:
        """Whether a response may say something else of an object than the store."""
        effects = [effect for fault in self.faults for effect in fault.effect.members]
        return any(not isinstance(effect, _HONEST) for effect in effects) or any(
            effect.status == 200 for effect in effects if isinstance(effect, Respond)
        )

    @property
    def damages(self) -> bool:
        """Whether a body may arrive with another bit than was sent."""
        return any(
            isinstance(effect, FlipBit) for fault in self.faults for effect in fault.effect.members
        )

    def __str__(self) -> str:
        faults = "  ".join(map(fault_text, self.faults))
        over = ",".join(self.covered)
        return f"seed {self.seed} {self.lane} x{self.max_attempts} over [{over}]: {faults}"


def draw_run(
    seed: int,
    draw_faults: Callable[[Random], list[Fault]],
    *,
    lanes: Sequence[str],
    older: float,
) -> Run:
    """Return the run of a seed; with probability `older` there are older objects."""
    rng = Random(seed)  # noqa: S311  (repeatable, no secret)
    sizes = {
        **{f"tiny{number}": rng.randrange(1, 3_000) for number in range(4)},
        "empty": 0,
        "mid": 300 * 1024,
        "big": 6 * MIB,
    }
    covered = [name for name in ("big", "mid", "tiny0", "tiny1") if rng.random() < 0.9]
    return Run(
        seed,
        draw_faults(rng),
        rng.choice(lanes),
        rng.choice([2, 4]),
        sizes,
        covered if rng.random() < older else [],
    )


def draw_fault(
    rng: Random, operations: Sequence[str], effect: Effect, *, few: bool = False
) -> Fault:
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


async def perform(run: Run, server: Server, bucket: Bucket, folder: Path, prefix: str) -> None:
    """Upload the tree with the faults and then without; both times what is said must be true."""
    make_tree(folder / "t", run.content)
    journal = folder / "journal.db"
    for name in run.covered:
        key = f"{prefix}/{name}"
        bucket.client.put_object(Bucket=bucket.name, Key=key, Body=run.older(name))
    try:
        async with behind_proxy(
            server,
            bucket,
            *run.faults,
            seed=run.seed,
            lane=run.lane,
            max_attempts=run.max_attempts,
            connect_timeout=0.5,
            stall_timeout=0.5,
            response_timeout=0.7,
            outcome_timeout=2.0,
            journal=str(journal),
        ) as rig:
            report = await _upload(rig, folder / "t", prefix, run)
            _check(bucket, prefix, report, run)
            _check_open_uploads(bucket, prefix, journal, run)
            endless = [str(entry) for entry in rig.proxy.log if entry.response_bytes > TAKEN]
            assert not endless, f"{run}: took all of {endless}"
            # Once the store behaves again, all of it goes up, and nothing is left open.
            rig.proxy.clear()
            rig.proxy.release()
            report = await _upload(rig, folder / "t", prefix, run)
            assert report.ok, f"{run}: {report.failures}"
            _check(bucket, prefix, report, run)
            left = _open_uploads(bucket, prefix)
            assert not left, f"{run}: {left} are left open"
            # That a Create has left nothing is known from the next listing, a minute later.
            _age(journal)
            assert await rig.uploader.pending_uploads(prefix) == [], run
            assert not _noted(journal), f"{run}: {_noted(journal)} stay in the journal"
    finally:
        clean(bucket, prefix)


async def _upload(rig: ProxyRig, root: Path, prefix: str, run: Run) -> UploadReport:
    try:
        with anyio.move_on_after(RUN_SECONDS):
            return await rig.uploader.upload_directory(root, prefix)
    except Exception as error:
        raise AssertionError(f"{run}: {_innermost(error)!r} escapes") from error
    raise AssertionError(f"{run}: hangs; {[*map(str, rig.proxy.log[-5:])]}")


def _innermost(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _check(bucket: Bucket, prefix: str, report: UploadReport, run: Run) -> None:
    """Compare what is said of each file with what is at the store."""
    assert {outcome.name for outcome in report.files} == set(run.content), run
    stored = bucket.tree(prefix)
    for outcome in report.files:
        there, content = stored.get(outcome.name), run.content[outcome.name]
        if outcome.status == "committed":
            assert there == content, f"{run}: {outcome} is not what is there"
        elif outcome.status == "unknown":
            assert outcome.error == "outcome.unknown", f"{run}: {outcome}"
        elif not outcome.error.startswith("integrity."):
            assert there != content, f"{run}: {outcome} is there"
        else:
            # A right object is called damaged only where a response lied of it.
            assert there != content or run.lies, f"{run}: {outcome} is there"
        older = run.older(outcome.name) if outcome.name in run.covered else None
        if there not in {content, older, None}:
            assert run.damages, f"{run}: nobody sent what is there: {outcome}"
            _check_damage(there or b"", content, outcome, run)


def _check_damage(there: bytes, content: bytes, outcome: FileOutcome, run: Run) -> None:
    """A damaged object is one PUT too large to carry its MD5, with one bit flipped on the way."""
    assert outcome.status != "committed", f"{run}: {outcome}"
    assert _CHECKED_BEFORE < len(content) == len(there) < PART, f"{run}: {outcome}"
    changed = [(old, new) for old, new in zip(content, there, strict=True) if old != new]
    assert [(old ^ new).bit_count() for old, new in changed] == [1], f"{run}: {outcome}"


def _check_open_uploads(bucket: Bucket, prefix: str, journal: Path, run: Run) -> None:
    """Each upload that is open stands in the journal, or has a row of its key that waits for it."""
    noted = _noted(journal)
    unnamed = _open_uploads(bucket, prefix) - noted.keys()
    strangers = Counter((key, "") for key, _ in unnamed) - noted
    assert not strangers, f"{run}: of {unnamed} {strangers} are not in the journal"


def _open_uploads(bucket: Bucket, prefix: str) -> set[tuple[str, str]]:
    listed = bucket.client.list_multipart_uploads(Bucket=bucket.name, Prefix=f"{prefix}/")
    # rclone does not look at the prefix of a folder that is not there.
    return {
        (entry["Key"], entry["UploadId"])
        for entry in listed.get("Uploads", [])
        if entry["Key"].startswith(f"{prefix}/")
    }


def _noted(journal: Path) -> Counter[tuple[str, str]]:
    """Return the rows of the journal: key, and id or "" as long as it was not heard."""
    with closing(sqlite3.connect(journal)) as connection:
        return Counter(connection.execute("SELECT key, upload_id FROM upload").fetchall())


def _age(journal: Path) -> None:
    with closing(sqlite3.connect(journal)) as connection, connection:
        connection.execute("UPDATE upload SET begun = begun - 3600")


def clean(bucket: Bucket, prefix: str) -> None:
    """Remove what a run has left at the store: the long forms would fill the disk."""
    for key, upload_id in _open_uploads(bucket, prefix):
        bucket.client.abort_multipart_upload(Bucket=bucket.name, Key=key, UploadId=upload_id)
    for name in bucket.etags(prefix):
        bucket.client.delete_object(Bucket=bucket.name, Key=f"{prefix}/{name}")


def seeds(quick: int, long: int) -> list[object]:
    """Return the seeds of every day, and as many more for `make test-long`."""
    marked = [pytest.param(seed, marks=pytest.mark.long) for seed in range(quick, quick + long)]
    return [*range(quick), *marked]
