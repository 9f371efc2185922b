"""How an upload ends whose last response was lost or false: the truth, or "unknown"."""

import os
import random
from collections.abc import Iterator, Sequence
from itertools import product
from pathlib import Path

import pytest

from behind_proxy import (
    BOTH_LANES,
    IN_PARTS,
    ProxyRig,
    behind_proxy,
    deleted_after,
    published,
    with_flipped_bit,
)
from conftest import Bucket
from s3_uploader import FileOutcome
from s3_uploader.testing import (
    DropMetadata,
    Effect,
    Fault,
    LocalS3Server,
    LoseResponse,
    Reset,
    Respond,
    WrongETag,
)

pytestmark = pytest.mark.anyio

COMPLETE = "CompleteMultipartUpload"

_STATUSES = [
    (524, ""),
    (503, "SlowDown"),
    (500, "InternalError"),
    (429, "TooManyRequests"),
    (404, "NoSuchUpload"),
    (400, "InvalidPart"),
    (200, "InternalError"),
]
EFFECTS: dict[str, Effect] = {
    "lose": LoseResponse(),
    "reset-before": Reset(),
    "reset-after": Reset(after=60, side="response"),
    "wrong-etag": WrongETag(),
    **{
        f"{status}-{when}": Respond(status, code, when=when)
        for status, code in _STATUSES
        for when in ("before", "after")
    },
}
_REFUSED = {"503-before", "429-before"}
_DENIED = {"404-before", "400-before"}


def ends(effect: str) -> set[str]:
    """Return how an upload may end whose every Complete meets this effect.

    What the server has done is found at the key. What it has not done is a failure where the
    response says so; where it says nothing of the kind, the request may yet take effect. Of an
    upload that is said to be consumed and is still listed, both would be true.
    """
    if effect in _REFUSED:
        return {"failed"}
    if effect.endswith("-before"):
        return {"failed", "unknown"} if effect in _DENIED else {"unknown"}
    return {"committed"}


OLDER = ("nothing", "other", "same")
LANES = ("wire", "boto")

Case = tuple[str, str, bool, str]


def cases(*, quick: Sequence[Case]) -> Iterator[object]:
    """Yield every case, all but the quick ones marked as long."""
    for case in product(EFFECTS, OLDER, (False, True), LANES):
        effect, older, dropped, lane = case
        name = f"{effect}-over-{older}{'-no-metadata' if dropped else ''}-{lane}"
        yield pytest.param(*case, id=name, marks=[] if case in quick else [pytest.mark.long])


# Every effect over wire, either once or each time; a few over boto.
_ONCE: list[Case] = [
    *(
        (effect, OLDER[number % 3], number % 2 == 0, "wire")
        for number, effect in list(enumerate(EFFECTS))[::2]
    ),
    ("404-after", "same", True, "boto"),
]
_EACH_TIME: list[Case] = [
    *(
        (effect, "same", number % 2 == 0, "wire")
        for number, effect in list(enumerate(EFFECTS))[1::2]
    ),
    # What the server never did, too.
    ("429-before", "other", False, "wire"),
    ("404-before", "same", True, "wire"),
    ("524-before", "same", True, "wire"),
    ("200-after", "nothing", True, "boto"),
]


class OutcomeScenario:
    """A file to upload, and what lies at its key before."""

    def __init__(self, folder: Path, bucket: Bucket, key: str, older: str) -> None:
        self.path = folder / "f.bin"
        self.key = key
        self.data = os.urandom(IN_PARTS)
        self.path.write_bytes(self.data)
        self.older = {
            "nothing": None,
            "other": with_flipped_bit(self.data, IN_PARTS // 2),
            "same": self.data,
        }[older]
        if self.older is not None:
            bucket.client.put_object(Bucket=bucket.name, Key=key, Body=self.older)


def faults(effect: Effect, *, dropped: bool, first: int | None = None) -> list[Fault]:
    """Return the fault of Complete, and that of HEAD where the store keeps no metadata."""
    found = [Fault(COMPLETE, effect, first=first)]
    return [*found, Fault("HeadObject", DropMetadata())] if dropped else found


def check_truth(rig: ProxyRig, scenario: OutcomeScenario, outcome: FileOutcome) -> None:
    """Compare the outcome with what the server has really done."""
    ours = published(rig.proxy.log, scenario.key)
    assert rig.content(scenario.key) == (scenario.data if ours else scenario.older)
    if outcome.status == "committed":
        assert ours
    elif outcome.status == "failed":
        assert not ours
    else:
        assert "verify_file" in outcome.message("en")
        assert "verify_file" in outcome.message("zh")


@pytest.mark.parametrize(("effect", "older", "dropped", "lane"), list(cases(quick=_ONCE)))
async def test_single_lost_or_false_response_ends_in_success(
    server: LocalS3Server,
    bucket: Bucket,
    tmp_path: Path,
    prefix: str,
    effect: str,
    older: str,
    lane: str,
    dropped: bool,  # noqa: FBT001
) -> None:
    scenario = OutcomeScenario(tmp_path, bucket, prefix, older)
    injected = faults(EFFECTS[effect], dropped=dropped, first=1)
    with deleted_after(bucket, prefix):
        async with behind_proxy(server, bucket, *injected, lane=lane) as rig:
            outcome = await rig.upload(scenario.path, prefix)
        assert outcome.status == "committed", outcome.message()
        check_truth(rig, scenario, outcome)
    assert bucket.open_uploads(prefix) == []


@pytest.mark.parametrize(("effect", "older", "dropped", "lane"), list(cases(quick=_EACH_TIME)))
async def test_outcome_is_true_though_no_response_is(
    server: LocalS3Server,
    bucket: Bucket,
    tmp_path: Path,
    prefix: str,
    effect: str,
    older: str,
    lane: str,
    dropped: bool,  # noqa: FBT001
) -> None:
    scenario = OutcomeScenario(tmp_path, bucket, prefix, older)
    injected = faults(EFFECTS[effect], dropped=dropped)
    with deleted_after(bucket, prefix):
        async with behind_proxy(server, bucket, *injected, lane=lane) as rig:
            outcome = await rig.upload(scenario.path, prefix)
        check_truth(rig, scenario, outcome)
        assert outcome.status in ends(effect), outcome.message()
        for upload in bucket.client.list_multipart_uploads(Bucket=bucket.name).get("Uploads", []):
            if upload["Key"] == prefix:
                bucket.client.abort_multipart_upload(
                    Bucket=bucket.name, Key=prefix, UploadId=upload["UploadId"]
                )


# ------------------------------------------------------------- while it is being found out


@pytest.mark.parametrize("lane", BOTH_LANES)
@pytest.mark.parametrize("status", [403, 404])
async def test_head_that_denies_the_object_for_a_while_is_repeated(
    server: LocalS3Server, bucket: Bucket, tmp_path: Path, prefix: str, lane: str, status: int
) -> None:
    scenario = OutcomeScenario(tmp_path, bucket, prefix, "nothing")
    injected = [
        Fault(COMPLETE, Respond(404, "NoSuchUpload", when="after"), first=1),
        Fault("HeadObject", Respond(status), first=3),
    ]
    async with behind_proxy(server, bucket, *injected, lane=lane, outcome_timeout=20) as rig:
        outcome = await rig.upload(scenario.path, prefix)
    assert outcome.status == "committed", outcome.message()
    check_truth(rig, scenario, outcome)
    assert rig.statuses("HeadObject") == [status] * 3 + [200]


@pytest.mark.parametrize("older", OLDER)
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("dropped", [False, True])
async def test_upload_that_cannot_be_listed_is_not_assumed_gone(
    server: LocalS3Server,
    bucket: Bucket,
    tmp_path: Path,
    prefix: str,
    older: str,
    when: str,
    dropped: bool,  # noqa: FBT001
) -> None:
    """An older object of the same bytes must not pass for ours while our upload may be open."""
    scenario = OutcomeScenario(tmp_path, bucket, prefix, older)
    gone = Respond(404, "NoSuchUpload", when="after" if when == "after" else "before")
    injected = [*faults(gone, dropped=dropped), Fault("ListParts", Respond(500))]
    async with behind_proxy(server, bucket, *injected) as rig:
        outcome = await rig.upload(scenario.path, prefix)
    check_truth(rig, scenario, outcome)
    if when == "after" and not dropped:
        assert outcome.status == "committed", outcome.message()


@pytest.mark.parametrize("status", [400, 403, 409])
@pytest.mark.parametrize("dropped", [False, True])
async def test_refusal_after_a_lost_response_does_not_mean_that_nothing_was_published(
    server: LocalS3Server,
    bucket: Bucket,
    tmp_path: Path,
    prefix: str,
    status: int,
    dropped: bool,  # noqa: FBT001
) -> None:
    scenario = OutcomeScenario(tmp_path, bucket, prefix, "other")
    injected = [
        # The first looks come too early, as with a store that is slow to show.
        Fault("HeadObject", Respond(404), first=3),
        *faults(LoseResponse(), dropped=dropped, first=1),
        Fault(COMPLETE, Respond(status)),
    ]
    async with behind_proxy(server, bucket, *injected) as rig:
        outcome = await rig.upload(scenario.path, prefix)
    assert published(rig.proxy.log, prefix)
    assert outcome.status != "failed", outcome.message()
    check_truth(rig, scenario, outcome)


async def test_wrong_etag_of_an_invisible_object_is_no_failure(
    server: LocalS3Server, bucket: Bucket, tmp_path: Path, prefix: str
) -> None:
    scenario = OutcomeScenario(tmp_path, bucket, prefix, "nothing")
    injected = [Fault(COMPLETE, WrongETag()), Fault("HeadObject", Respond(404))]
    async with behind_proxy(server, bucket, *injected) as rig:
        outcome = await rig.upload(scenario.path, prefix)
    assert outcome.status == "unknown", outcome.message()
    check_truth(rig, scenario, outcome)


# ---------------------------------------------------------------------- with a single request

_SIZES = {"small": 1_000, "large": 300_000}


@pytest.mark.parametrize("lane", BOTH_LANES)
@pytest.mark.parametrize("size", list(_SIZES))
@pytest.mark.parametrize("flaps", [0, 2])
async def test_put_whose_responses_are_all_lost_is_found_at_the_store(
    server: LocalS3Server,
    bucket: Bucket,
    tmp_path: Path,
    prefix: str,
    lane: str,
    size: str,
    flaps: int,
) -> None:
    path = tmp_path / "f"
    path.write_bytes(os.urandom(_SIZES[size]))
    injected = [Fault("PutObject", LoseResponse())]
    if flaps:
        injected.append(Fault("HeadObject", Respond(404), first=flaps))
    async with behind_proxy(server, bucket, *injected, lane=lane) as rig:
        outcome = await rig.upload(path, prefix)
    assert outcome.status == "committed", outcome.message()
    assert rig.content(prefix) == path.read_bytes()


@pytest.mark.parametrize("size", list(_SIZES))
@pytest.mark.parametrize("head", [403, 404, 500])
async def test_put_that_cannot_be_looked_up_is_unknown(
    server: LocalS3Server, bucket: Bucket, tmp_path: Path, prefix: str, size: str, head: int
) -> None:
    path = tmp_path / "f"
    path.write_bytes(os.urandom(_SIZES[size]))
    injected = [Fault("PutObject", LoseResponse()), Fault("HeadObject", Respond(head))]
    async with behind_proxy(server, bucket, *injected) as rig:
        outcome = await rig.upload(path, prefix)
    assert published(rig.proxy.log, prefix)
    assert outcome.status == "unknown", outcome.message()
    assert "verify_file" in outcome.message()


@pytest.mark.parametrize("size", list(_SIZES))
@pytest.mark.parametrize("status", [403, 409])
async def test_put_refused_after_a_lost_response_is_found_at_the_store(
    server: LocalS3Server, bucket: Bucket, tmp_path: Path, prefix: str, size: str, status: int
) -> None:
    path = tmp_path / "f"
    path.write_bytes(os.urandom(_SIZES[size]))
    injected = [Fault("PutObject", LoseResponse(), first=1), Fault("PutObject", Respond(status))]
    async with behind_proxy(server, bucket, *injected) as rig:
        outcome = await rig.upload(path, prefix)
    assert published(rig.proxy.log, prefix)
    assert outcome.status == "committed", outcome.message()
    assert rig.content(prefix) == path.read_bytes()


@pytest.mark.parametrize("size", list(_SIZES))
@pytest.mark.parametrize("older", ["nothing", "other"])
async def test_put_refused_each_time_is_a_failure(
    server: LocalS3Server, bucket: Bucket, tmp_path: Path, prefix: str, size: str, older: str
) -> None:
    path = tmp_path / "f"
    path.write_bytes(os.urandom(_SIZES[size]))
    before = with_flipped_bit(path.read_bytes(), random.Random(1).randrange(1_000))  # noqa: S311
    if older == "other":
        bucket.client.put_object(Bucket=bucket.name, Key=prefix, Body=before)
    async with behind_proxy(server, bucket, "PutObject:503") as rig:
        outcome = await rig.upload(path, prefix)
    assert (outcome.status, outcome.error) == ("failed", "store.busy")
    assert rig.content(prefix) == (before if older == "other" else None)


async def test_put_of_an_integrity_off_upload_is_unknown_rather_than_failed(
    server: LocalS3Server, bucket: Bucket, tmp_path: Path, prefix: str
) -> None:
    path = tmp_path / "f"
    path.write_bytes(os.urandom(_SIZES["large"]))
    async with behind_proxy(server, bucket, "PutObject:lose", integrity="off") as rig:
        outcome = await rig.upload(path, prefix)
    assert published(rig.proxy.log, prefix)
    assert rig.content(prefix) == path.read_bytes()
    assert (outcome.status, outcome.error) == ("unknown", "outcome.unknown")
    assert "verify_file" in outcome.message()


@pytest.mark.parametrize("size", [1_000, 300_000, IN_PARTS])
@pytest.mark.parametrize("head", [403, 404, 500])
async def test_opaque_etag_of_an_invisible_object_is_unknown(
    server: LocalS3Server, bucket: Bucket, tmp_path: Path, prefix: str, size: int, head: int
) -> None:
    """The store says that it has published; only the size is left to compare, and HEAD denies."""
    path = tmp_path / "f"
    path.write_bytes(os.urandom(size))
    operation = COMPLETE if size == IN_PARTS else "PutObject"
    injected = [Fault(operation, WrongETag("opaque")), Fault("HeadObject", Respond(head))]
    async with behind_proxy(server, bucket, *injected) as rig:
        outcome = await rig.upload(path, prefix)
    assert published(rig.proxy.log, prefix)
    assert outcome.status == "unknown", outcome.message()


@pytest.mark.parametrize("size", [1_000, 300_000, IN_PARTS])
async def test_opaque_etag_is_settled_by_what_head_shows_in_the_end(
    server: LocalS3Server, bucket: Bucket, tmp_path: Path, prefix: str, size: int
) -> None:
    path = tmp_path / "f"
    path.write_bytes(os.urandom(size))
    operation = COMPLETE if size == IN_PARTS else "PutObject"
    injected = [Fault(operation, WrongETag("opaque")), Fault("HeadObject", Respond(404), first=2)]
    async with behind_proxy(server, bucket, *injected) as rig:
        outcome = await rig.upload(path, prefix)
    assert outcome.status == "committed", outcome.message()
    assert rig.content(prefix) == path.read_bytes()


@pytest.mark.parametrize("lane", BOTH_LANES)
async def test_lost_creates_leave_nothing_open(
    server: LocalS3Server, bucket: Bucket, tmp_path: Path, prefix: str, lane: str
) -> None:
    path = tmp_path / "f"
    path.write_bytes(os.urandom(IN_PARTS))
    faults = ["CreateMultipartUpload:lose:first=2", "ListMultipartUploads:500:first=2"]
    journal = str(tmp_path / "journal.db")
    async with behind_proxy(server, bucket, *faults, lane=lane, journal=journal) as rig:
        outcome = await rig.upload(path, prefix)
        assert outcome.ok
        assert rig.proxy.count("CreateMultipartUpload") == 3
        assert rig.proxy.count("ListMultipartUploads") == 3
        assert await rig.uploader.pending_uploads(prefix, foreign=True) == []
    assert bucket.open_uploads(prefix) == []
