"""Multipart uploads whose Create took effect unheard: remembered until found, or given up."""

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import anyio
import pytest

from s3_uploader import FileOutcome, UploadConfig, Uploader
from s3_uploader.engine.journal import UploadRecord
from s3_uploader.engine.outcome.lost_create import paired
from s3_uploader.events import Event, Warned
from s3_uploader.source import Fingerprint
from s3_uploader.store import Body, PutOptions, Receipt, UploadInfo, error_from_response
from s3_uploader.store.errors import Request
from s3_uploader.testing import MemoryStore
from s3_uploader.testing.hooked import TINY, HookedStore, Moment, do_nothing
from trees import make_tree

pytestmark = pytest.mark.anyio

_NO_DELAY = UploadConfig(backoff_base=0)
_CREATED = Moment("after", "CreateMultipartUpload", "key")


class Listing(HookedStore):
    """A store whose listing of open uploads can fail, or lag behind by what is in `unseen`."""

    def __init__(self) -> None:
        super().__init__()
        self.failing = False
        self.unseen: set[str] = set()
        self.listings = 0

    async def list_multipart_uploads(self, prefix: str) -> list[UploadInfo]:
        self.listings += 1
        if self.failing:
            raise _answered("ListMultipartUploads", 500)
        listed = await self.memory.list_multipart_uploads(prefix)
        return [upload for upload in listed if upload.upload_id not in self.unseen]


def _answered(operation: str, status: int) -> Exception:
    return error_from_response(Request(operation, "key", "memory", "memory://"), status, "", "")


class LostCreateScenario:
    """A file, a journal and a store whose responses to Create get lost."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "file"
        self.data = make_tree(folder, {"file": 4_500})["file"]
        self.journal = folder / "journal.db"
        self.store = Listing()
        self.warned: list[Warned] = []

    async def upload(
        self, *, lost: int = 0, status: int = 504, path: Path | None = None, **settings: Any
    ) -> FileOutcome:
        """Upload; the first `lost` Creates take effect, with `status` as response."""
        left = lost

        async def hook(moment: Moment) -> None:
            nonlocal left
            if moment == _CREATED and left:
                left -= 1
                raise _answered("CreateMultipartUpload", status)

        def watch(event: Event) -> None:
            if isinstance(event, Warned):
                self.warned.append(event)

        self.store.hook = hook
        values: dict[str, Any] = {"max_attempts": 4, "backoff_base": 0.001, "backoff_cap": 0.002}
        config = UploadConfig(journal=str(self.journal), **(values | settings))
        async with Uploader(store=self.store, config=config) as uploader:
            return await uploader.upload_file(path or self.path, "key", consumers=[watch])

    def waiting(self) -> int:
        """Return how many rows wait for their id; none else is there once uploads have ended."""
        with closing(sqlite3.connect(self.journal)) as raw:
            ids = [upload_id for (upload_id,) in raw.execute("SELECT upload_id FROM upload")]
        assert set(ids) <= {""}
        return len(ids)

    def age(self, seconds: float) -> None:
        """Let the Creates have been sent so much earlier."""
        with closing(sqlite3.connect(self.journal)) as raw, raw:
            raw.execute("UPDATE upload SET begun = begun - ?", (seconds,))
        for upload in self.store.memory.uploads.values():
            upload.initiated -= seconds

    def check(self, outcome: FileOutcome, *, open_ones: int = 0, waiting: int = 0) -> None:
        outcome.raise_for_failure()
        assert self.store.memory.objects == {"key": self.path.read_bytes()}
        assert len(self.store.memory.uploads) == open_ones
        assert self.waiting() == waiting


@pytest.fixture
def scenario(tmp_path: Path) -> LostCreateScenario:
    return LostCreateScenario(tmp_path)


async def test_lost_create_is_found_before_it_is_repeated(scenario: LostCreateScenario) -> None:
    scenario.check(await scenario.upload(lost=1))
    assert scenario.store.count("CreateMultipartUpload") == 1


@pytest.mark.parametrize("lost", [1, 3])
@pytest.mark.parametrize("status", [500, 503, 504])
async def test_lost_creates_are_remembered_where_the_listing_fails(
    scenario: LostCreateScenario, lost: int, status: int
) -> None:
    scenario.store.failing = True
    scenario.check(await scenario.upload(lost=lost, status=status), open_ones=lost, waiting=lost)
    assert scenario.store.count("CreateMultipartUpload") == lost + 1
    # The next upload of the key looks for them, and uses one.
    scenario.store.failing = False
    scenario.store.calls.clear()
    scenario.check(await scenario.upload())
    assert scenario.store.count("CreateMultipartUpload") == 0
    assert scenario.store.count("AbortMultipartUpload") == lost - 1


@pytest.mark.parametrize("lost", [1, 3])
async def test_lost_creates_are_aborted_at_the_end_of_the_upload(
    scenario: LostCreateScenario, lost: int
) -> None:
    scenario.store.failing = True

    async def hook(moment: Moment) -> None:
        await losing(moment)
        if moment == Moment("before", "CompleteMultipartUpload", "key"):
            assert len(scenario.store.memory.uploads) == lost + 1
            scenario.store.failing = False

    # The hook of `upload` is in place once that has started.
    async with anyio.create_task_group() as tasks:
        outcomes: list[FileOutcome] = []

        async def upload() -> None:
            outcomes.append(await scenario.upload(lost=lost))

        tasks.start_soon(upload)
        while scenario.store.hook is do_nothing:
            await anyio.lowlevel.checkpoint()
        losing = scenario.store.hook
        scenario.store.hook = hook
    scenario.check(outcomes[0])
    assert scenario.store.count("AbortMultipartUpload") == lost


async def test_lost_create_of_an_upload_that_fails_is_aborted(scenario: LostCreateScenario) -> None:
    outcome = await scenario.upload(lost=9, max_attempts=1)
    assert outcome.status == "failed"
    assert scenario.store.memory.uploads == {}
    assert scenario.waiting() == 0


class _WithoutId(MemoryStore):
    """A store whose response to Create has no upload id."""

    async def create_multipart_upload(self, key: str, options: PutOptions) -> str:
        del key, options
        return ""

    async def abort_multipart_upload(self, key: str, upload_id: str) -> None:
        assert upload_id, "that is DELETE of the object itself"
        await super().abort_multipart_upload(key, upload_id)

    async def upload_part(self, key: str, upload_id: str, number: int, body: Body) -> Receipt:
        assert upload_id, "that is PUT of the object itself"
        return await super().upload_part(key, upload_id, number, body)


async def test_create_response_without_upload_id_is_a_failure(tmp_path: Path) -> None:
    make_tree(tmp_path, {"f": 4_500})
    async with Uploader(store=_WithoutId(provider=TINY), config=_NO_DELAY) as uploader:
        outcome = await uploader.upload_file(tmp_path / "f", "k")
    assert (outcome.status, outcome.error) == ("failed", "store.not_s3")


async def test_create_response_without_an_id_is_remembered(scenario: LostCreateScenario) -> None:
    create = scenario.store.memory.create_multipart_upload

    async def without_id(*args: Any, **settings: Any) -> str:
        await create(*args, **settings)
        return ""

    scenario.store.memory.create_multipart_upload = without_id  # type: ignore[method-assign]
    scenario.store.failing = True
    assert (await scenario.upload()).error == "store.not_s3"
    assert len(scenario.store.memory.uploads) == scenario.waiting() == 1
    scenario.store.failing = False
    del scenario.store.memory.create_multipart_upload
    scenario.check(await scenario.upload())


async def test_lagging_listing_does_not_forget_a_lost_create(scenario: LostCreateScenario) -> None:
    """What it shows later is found later."""
    scenario.store.unseen = {"upload-1"}
    scenario.check(await scenario.upload(lost=1), open_ones=1, waiting=1)
    scenario.check(await scenario.upload(), open_ones=1, waiting=1)
    scenario.store.unseen.clear()
    scenario.check(await scenario.upload())


async def test_create_that_never_took_effect_is_forgotten_once_a_listing_is_late(
    scenario: LostCreateScenario,
) -> None:
    scenario.store.unseen = {"upload-1"}
    scenario.check(await scenario.upload(lost=1), open_ones=1, waiting=1)
    scenario.store.memory.uploads.clear()
    scenario.check(await scenario.upload(), waiting=1)
    scenario.age(61)
    scenario.check(await scenario.upload())
    assert scenario.warned == []


@pytest.mark.parametrize("initiated", [0.0, 3_600.0], ids=["no time", "another time"])
async def test_upload_of_an_unlikely_time_leaves_the_create_remembered(
    scenario: LostCreateScenario, initiated: float
) -> None:
    """It is not touched; but the clocks may be that far apart, so it may be the one."""
    scenario.store.failing = True
    scenario.check(await scenario.upload(lost=1), open_ones=1, waiting=1)
    scenario.store.failing = False
    scenario.age(3_600)
    scenario.store.memory.uploads["upload-1"].initiated = initiated
    scenario.check(await scenario.upload(), open_ones=1, waiting=1)


async def test_refused_create_costs_one_listing_and_leaves_no_row(
    scenario: LostCreateScenario,
) -> None:
    """The store is overloaded, and says so of a request that it has not served."""
    left = 2

    async def hook(moment: Moment) -> None:
        nonlocal left
        if moment == Moment("before", "CreateMultipartUpload", "key") and left:
            left -= 1
            raise _answered("CreateMultipartUpload", 503)

    scenario.store.hook = hook
    config = UploadConfig(journal=str(scenario.journal), backoff_base=0.001, backoff_cap=0.002)
    async with Uploader(store=scenario.store, config=config) as uploader:
        outcome = await uploader.upload_file(scenario.path, "key")
    scenario.check(outcome)
    assert scenario.store.listings == 2


async def test_nothing_is_listed_without_lost_creates(scenario: LostCreateScenario) -> None:
    scenario.check(await scenario.upload())
    assert scenario.store.listings == 0


async def test_lost_create_is_given_up_with_a_warning_where_listings_fail(
    scenario: LostCreateScenario,
) -> None:
    scenario.store.failing = True
    scenario.check(await scenario.upload(lost=1), open_ones=1, waiting=1)
    scenario.age(6 * 24 * 3600)
    scenario.check(await scenario.upload(), open_ones=1, waiting=1)
    assert scenario.warned == []
    scenario.age(24 * 3600)
    scenario.check(await scenario.upload(), open_ones=1)
    (warning,) = scenario.warned
    assert (warning.code, warning.params["key"]) == ("upload.lost_create", "key")


async def test_pending_uploads_lists_what_a_lost_create_has_made(
    scenario: LostCreateScenario,
) -> None:
    scenario.store.failing = True
    scenario.check(await scenario.upload(lost=2), open_ones=2, waiting=2)
    async with Uploader(
        store=scenario.store, config=UploadConfig(journal=str(scenario.journal))
    ) as uploader:
        assert await uploader.pending_uploads() == []
        scenario.store.failing = False
        scenario.store.listings = 0
        pending = await uploader.pending_uploads()
        assert scenario.store.listings == 1
        assert {upload.upload_id for upload in pending} == set(scenario.store.memory.uploads)
        assert all(upload.ours and not upload.active for upload in pending)
        assert scenario.store.count("AbortMultipartUpload") == 0
        for upload in pending:
            assert await uploader.abort_upload(upload.key, upload.upload_id)
    assert scenario.store.memory.uploads == {}
    assert scenario.waiting() == 0


# ---------------------------------------------------------------------------------- nobody else's


def _with_a_part(scenario: LostCreateScenario, upload_id: str) -> None:
    scenario.store.memory.uploads[upload_id].parts[1] = b"theirs"


def _of_another_key(scenario: LostCreateScenario, upload_id: str) -> None:
    scenario.store.memory.uploads[upload_id].key = "key/2"


def _of_another_time(scenario: LostCreateScenario, upload_id: str) -> None:
    scenario.store.memory.uploads[upload_id].initiated -= 3_600


@pytest.mark.parametrize("differ", [_with_a_part, _of_another_key, _of_another_time])
async def test_upload_of_another_is_not_mistaken_for_a_lost_create(
    scenario: LostCreateScenario, differ: Callable[[LostCreateScenario, str], None]
) -> None:
    """Ours never took effect; theirs is listed."""
    theirs = await scenario.store.memory.create_multipart_upload("key", PutOptions(""))
    differ(scenario, theirs)
    scenario.store.unseen = {"upload-2"}
    scenario.check(await scenario.upload(lost=1), open_ones=2, waiting=1)
    del scenario.store.memory.uploads["upload-2"]
    scenario.check(await scenario.upload(), open_ones=1, waiting=1)
    assert set(scenario.store.memory.uploads) == {theirs}


async def test_no_upload_is_touched_if_there_are_more_than_lost_creates(
    scenario: LostCreateScenario,
) -> None:
    theirs = await scenario.store.memory.create_multipart_upload("key", PutOptions(""))
    scenario.check(await scenario.upload(lost=1), open_ones=2, waiting=1)
    # Theirs is completed; what is left can only be ours.
    del scenario.store.memory.uploads[theirs]
    scenario.check(await scenario.upload())


async def test_upload_of_another_whose_create_is_in_progress_is_not_aborted(
    scenario: LostCreateScenario,
) -> None:
    """It is at the store, and its maker has not noted its id yet."""
    scenario.store.failing = True
    scenario.check(await scenario.upload(lost=1), open_ones=1, waiting=1)
    scenario.store.failing = False
    created, go_on = anyio.Event(), anyio.Event()

    async def hook(moment: Moment) -> None:
        if moment == _CREATED and not created.is_set():
            created.set()
            await go_on.wait()

    # Theirs must not find the lost one first.
    scenario.store.unseen = {"upload-1"}
    scenario.store.hook = hook
    other = scenario.path.with_name("other")
    other.write_bytes(os.urandom(4_600))
    config = UploadConfig(journal=str(scenario.journal))
    outcomes: list[FileOutcome] = []
    async with (
        Uploader(store=scenario.store, config=config) as theirs,
        anyio.create_task_group() as tasks,
    ):

        async def upload() -> None:
            outcomes.append(await theirs.upload_file(other, "key"))

        tasks.start_soon(upload)
        await created.wait()
        scenario.store.unseen.clear()
        assert len(scenario.store.memory.uploads) == 2
        async with Uploader(store=scenario.store, config=config) as ours:
            assert (await ours.upload_file(scenario.path, "key")).ok
        # The lost one and theirs are both there.
        assert len(scenario.store.memory.uploads) == 2
        go_on.set()
    assert outcomes[0].ok
    assert scenario.store.memory.objects == {"key": other.read_bytes()}
    # Theirs looked for the lost one when it had ended.
    assert scenario.store.memory.uploads == {}
    assert scenario.waiting() == 0


async def test_no_upload_is_mistaken_for_lost_without_the_journal(
    scenario: LostCreateScenario,
) -> None:
    """Whose the uploads are is then not known."""
    theirs = await scenario.store.memory.create_multipart_upload("key", PutOptions(""))
    listed = scenario.store.memory.list_multipart_uploads

    async def listing(prefix: str) -> list[UploadInfo]:
        with closing(sqlite3.connect(scenario.journal)) as raw, raw:
            raw.execute("DROP TABLE part")
        return await listed(prefix)

    scenario.store.memory.list_multipart_uploads = listing  # type: ignore[method-assign]
    outcome = await scenario.upload(lost=1)
    outcome.raise_for_failure()
    assert theirs in scenario.store.memory.uploads
    assert "journal.unavailable" in {warning.code for warning in scenario.warned}


def test_each_upload_is_paired_with_the_create_closest_in_time() -> None:
    mark = Fingerprint(1, 2, 3, 4)
    lost = [
        UploadRecord(row, "key", "", "", "/f", mark, 1, begun)
        for row, begun in ((1, 0.0), (2, 50.0))
    ]
    late, early = UploadInfo("key", "late", 51.0), UploadInfo("key", "early", 1.0)
    for strays, expected in (
        ([late, early], {1: "early", 2: "late"}),
        ([late], {2: "late"}),
        ([early], {1: "early"}),
        ([], {}),
    ):
        assert {record.row: record.upload_id for record in paired(lost, strays)} == expected
