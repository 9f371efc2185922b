"""An interrupted upload is resumed with the parts the store holds, if they are of this file."""

import asyncio
import hashlib
import os
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import pytest

from child_process import ChildUpload
from conftest import Bucket
from s3_uploader import FileOutcome, UploadConfig, Uploader
from s3_uploader.checksums import Checksum
from s3_uploader.engine.journal import Place, SentPart
from s3_uploader.engine.journal.database import Database
from s3_uploader.events import Event, PartReused
from s3_uploader.sizes import MIB
from s3_uploader.source import Fingerprint
from s3_uploader.store import (
    Body,
    CompletedPart,
    ObjectInfo,
    PutOptions,
    Receipt,
    StoredPart,
    error_from_response,
)
from s3_uploader.store.errors import Request
from s3_uploader.testing import (
    FaultProxy,
    LocalS3Server,
    MemoryStore,
    StartFaultProxy,
)
from s3_uploader.testing.hooked import TINY, Hook, HookedStore, Moment, do_nothing, fail_with, tiny
from trees import make_tree

pytestmark = pytest.mark.anyio
pytest_plugins = ["s3_uploader.testing.pytest_plugin"]

_SIZE = 4_500
"""Five parts of the TINY store, the last a short one."""

_STOPS_AT_3 = fail_with(500, "InternalError", operation="UploadPart", part=3)


class ResumeScenario:
    """A file, a journal and a store, and uploads of the one to the other."""

    def __init__(self, folder: Path, store: HookedStore | None = None, **settings: Any) -> None:
        self.path = folder / "file"
        self.data = make_tree(folder, {"file": _SIZE})["file"]
        self.journal = folder / "state/journal.db"
        self.store = store or HookedStore()
        self.settings = settings
        self.events: list[Event] = []

    async def upload(self, hook: Hook = do_nothing, **settings: Any) -> FileOutcome:
        """Upload with a new Uploader, which does not wait and does not retry."""
        self.store.hook = hook
        self.store.calls.clear()
        self.events.clear()
        values: dict[str, Any] = {"journal": str(self.journal), "max_attempts": 1}
        config = UploadConfig(**(values | self.settings | settings))
        async with Uploader(store=self.store, config=config) as uploader:
            return await uploader.upload_file(self.path, "key", consumers=[self.events.append])

    async def interrupt(self, hook: Hook = _STOPS_AT_3, **settings: Any) -> None:
        """Leave an upload open that the journal knows."""
        outcome = await self.upload(hook, max_requests=1, **settings)
        assert outcome.status == "failed"
        assert len(self.store.memory.uploads) == 1
        assert self.rows() == 1

    def rows(self) -> int:
        with closing(sqlite3.connect(self.journal)) as database:
            return int(database.execute("SELECT count(*) FROM upload").fetchone()[0])

    def sent(self) -> list[int]:
        """Numbers of the parts that the last upload sent."""
        calls = self.store.calls
        return sorted(call.part for call in calls if call.operation == "UploadPart")

    def reused(self) -> list[int]:
        return sorted(event.part for event in self.events if isinstance(event, PartReused))

    def check(self, outcome: FileOutcome) -> None:
        """Check that the object is the file, and that nothing is left."""
        outcome.raise_for_failure()
        assert self.store.memory.objects == {"key": self.path.read_bytes()}
        assert self.store.memory.uploads == {}
        assert self.rows() == 0


def content(path: Path) -> bytes:
    return path.read_bytes()


@pytest.fixture
def scenario(tmp_path: Path) -> ResumeScenario:
    return ResumeScenario(tmp_path)


@pytest.mark.parametrize(
    ("integrity", "proof"), [("auto", "etag-md5"), ("md5", "etag-md5"), ("off", "none")]
)
async def test_interrupted_upload_is_resumed_with_the_parts_already_sent(
    scenario: ResumeScenario, integrity: str, proof: str
) -> None:
    await scenario.interrupt(integrity=integrity)
    before = set(next(iter(scenario.store.memory.uploads.values())).parts)
    assert {1, 2} <= before
    outcome = await scenario.upload(integrity=integrity)
    scenario.check(outcome)
    assert set(scenario.reused()) == before
    assert set(scenario.sent()) == {1, 2, 3, 4, 5} - before
    assert scenario.store.count("CreateMultipartUpload") == 0
    assert outcome.reused == sum(500 if part == 5 else 1000 for part in before)
    assert outcome.verified_by == proof


async def test_cancelled_upload_kept_is_resumed(scenario: ResumeScenario) -> None:
    async def hook(moment: Moment) -> None:
        if moment == Moment("after", "UploadPart", "key", 2):
            scope.cancel()

    with anyio.CancelScope() as scope:
        await scenario.upload(hook, on_cancel="keep", max_requests=1)
    assert scope.cancelled_caught
    assert len(scenario.store.memory.uploads) == scenario.rows() == 1
    scenario.check(await scenario.upload())
    assert {1, 2} <= set(scenario.reused())


async def test_all_parts_are_recorded_before_complete(scenario: ResumeScenario) -> None:
    """They identify the object, should the process die before the response to Complete."""
    noted: list[int] = []

    async def hook(moment: Moment) -> None:
        if moment == Moment("before", "UploadPart", "key", 5):
            # The journal must wait for this lock, and Complete for the journal.
            lock.execute("BEGIN IMMEDIATE")
            asyncio.get_running_loop().call_later(0.3, lock.rollback)
        elif moment.when == "before" and moment.operation == "CompleteMultipartUpload":
            noted.extend(lock.execute("SELECT count(*) FROM part").fetchone())

    scenario.check(await scenario.upload())
    with closing(sqlite3.connect(scenario.journal, isolation_level=None)) as lock:
        scenario.check(await scenario.upload(hook))
    assert noted == [5]


async def test_interrupted_upload_is_resumed_by_the_same_uploader(scenario: ResumeScenario) -> None:
    config = UploadConfig(journal=str(scenario.journal), max_attempts=1, max_requests=1)
    async with Uploader(store=scenario.store, config=config) as uploader:
        scenario.store.hook = _STOPS_AT_3
        assert not (await uploader.upload_file(scenario.path, "key")).ok
        scenario.store.hook = do_nothing
        outcome = await uploader.upload_file(scenario.path, "key")
    scenario.check(outcome)
    assert outcome.reused >= 2_000


# ---------------------------------------------------------------------------- the file has changed


def _longer(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"more")


def _touched(path: Path) -> None:
    os.utime(path, ns=(0, path.stat().st_mtime_ns + 1))


def _replaced(path: Path) -> None:
    before = path.stat()
    other = path.with_name("other")
    other.write_bytes(path.read_bytes())
    other.replace(path)
    os.utime(path, ns=(0, before.st_mtime_ns))
    assert path.stat().st_ino != before.st_ino


def _restored(path: Path) -> None:
    """As from a backup: neither the inode nor the time is what it was."""
    _replaced(path)
    _touched(path)


def _moved(path: Path) -> None:
    """Away, and a link in its place: the path is the same, what it leads to is elsewhere."""
    elsewhere = path.with_name("volume")
    elsewhere.mkdir()
    path.rename(elsewhere / "file")
    path.symlink_to(elsewhere / "file")


@pytest.mark.parametrize("change", [_touched, _replaced, _restored, _moved])
async def test_changes_of_a_restart_do_not_prevent_a_resume(
    scenario: ResumeScenario, change: Callable[[Path], None]
) -> None:
    await scenario.interrupt()
    change(scenario.path)
    outcome = await scenario.upload()
    scenario.check(outcome)
    assert scenario.store.count("CreateMultipartUpload") == 0
    assert {1, 2} <= set(scenario.reused())
    assert 1 not in scenario.sent()


async def test_changed_device_number_does_not_prevent_a_resume(
    scenario: ResumeScenario,
) -> None:
    """A volume that is mounted again, a container that is started again."""
    await scenario.interrupt()
    with closing(sqlite3.connect(scenario.journal)) as raw, raw:
        raw.execute("UPDATE upload SET device = '9999', inode = '8888', path = '/elsewhere'")
    scenario.check(await scenario.upload())
    assert {1, 2} <= set(scenario.reused())


async def test_changed_parts_of_a_file_are_sent_again(scenario: ResumeScenario) -> None:
    await scenario.interrupt()
    data = bytearray(scenario.data)
    data[1_500] ^= 1
    scenario.path.write_bytes(data)
    scenario.check(await scenario.upload())
    assert 1 in scenario.reused()
    assert 2 in scenario.sent()


async def test_another_file_of_the_same_size_is_sent_whole(scenario: ResumeScenario) -> None:
    await scenario.interrupt()
    scenario.path = scenario.path.with_name("other")
    scenario.path.write_bytes(os.urandom(_SIZE))
    outcome = await scenario.upload()
    scenario.check(outcome)
    assert (scenario.reused(), scenario.sent(), outcome.reused) == ([], [1, 2, 3, 4, 5], 0)


async def test_resumed_upload_is_recorded_for_the_file_that_resumed_it(
    scenario: ResumeScenario,
) -> None:
    await scenario.interrupt()
    other = scenario.path.with_name("other")
    scenario.path = scenario.path.rename(other)
    await scenario.interrupt()
    config = UploadConfig(journal=str(scenario.journal))
    async with Uploader(store=scenario.store, config=config) as uploader:
        (pending,) = await uploader.pending_uploads()
    assert pending.path == str(other)
    scenario.check(await scenario.upload())


@pytest.mark.parametrize("best", ["the same file", "most sent", "newest"])
async def test_most_promising_of_several_uploads_is_resumed(
    scenario: ResumeScenario, best: str
) -> None:
    same = Fingerprint.of(scenario.path.stat())
    other = replace(same, mtime_ns=1)
    left = {
        "the same file": [(other, 3), (same, 1), (other, 2)],
        "most sent": [(other, 1), (other, 3), (other, 2)],
        "newest": [(other, 1), (other, 1), (other, 1)],
    }[best]
    place = Place("memory://", "memory", "key")
    ids = [await _leave(scenario, place, fingerprint, sent) for fingerprint, sent in left]
    expected = {"the same file": 1, "most sent": 1, "newest": 2}[best]
    completed: list[str] = []

    async def hook(moment: Moment) -> None:
        if moment == Moment("before", "CompleteMultipartUpload", "key"):
            completed.extend(scenario.store.memory.uploads)

    scenario.check(await scenario.upload(hook))
    assert completed == [ids[expected]]
    assert len(scenario.reused()) == left[expected][1]
    assert scenario.store.count("AbortMultipartUpload") == 2


async def _leave(
    scenario: ResumeScenario, place: Place, fingerprint: Fingerprint, sent: int
) -> str:
    """Leave an upload of `sent` parts, as a process leaves it that is killed."""
    store = scenario.store.memory
    upload_id = await store.create_multipart_upload("key", PutOptions(""))
    database = Database(str(scenario.journal))
    row = database.insert_upload(place, "", str(scenario.path), fingerprint, 1_000)
    database.set_upload_id(row, upload_id)
    for number in range(1, sent + 1):
        data = scenario.data[(number - 1) * 1_000 : number * 1_000]
        store.uploads[upload_id].parts[number] = data
        md5 = hashlib.md5(data, usedforsecurity=False).hexdigest()
        database.add_part(row, SentPart(number, 1_000, md5, md5, "etag-md5"))
    database.close()
    return upload_id


async def test_file_of_another_size_is_not_resumed(scenario: ResumeScenario) -> None:
    await scenario.interrupt()
    _longer(scenario.path)
    outcome = await scenario.upload()
    scenario.check(outcome)
    assert scenario.store.count("AbortMultipartUpload") == 1
    assert scenario.store.count("CreateMultipartUpload") == 1
    assert (scenario.reused(), scenario.sent(), outcome.reused) == ([], [1, 2, 3, 4, 5], 0)


async def test_change_that_the_fingerprint_misses_is_found_by_the_hash(
    scenario: ResumeScenario,
) -> None:
    await scenario.interrupt()
    status = scenario.path.stat()
    with scenario.path.open("r+b") as file:
        file.seek(1_500)
        file.write(b"changed")
    os.utime(scenario.path, ns=(0, status.st_mtime_ns))
    scenario.check(await scenario.upload())
    assert 1 in scenario.reused()
    assert 2 in scenario.sent()


def _chmod(path: Path) -> None:
    path.chmod(0o640)


def _linked(path: Path) -> None:
    path.with_name("link").hardlink_to(path)


def _rewritten_under_the_old_time(path: Path) -> None:
    before = path.stat()
    data = bytearray(path.read_bytes())
    data[100] ^= 1
    with path.open("r+b") as file:
        file.write(data)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


@pytest.mark.parametrize("change", [_chmod, _linked, _rewritten_under_the_old_time])
async def test_touched_file_fails_and_what_was_sent_is_kept(
    scenario: ResumeScenario, change: Callable[[Path], None]
) -> None:
    """Which of these it was, the status change time does not show; the hashes of the parts do."""

    async def hook(moment: Moment) -> None:
        if moment == Moment("after", "UploadPart", "key", 2):
            change(scenario.path)

    outcome = await scenario.upload(hook, max_requests=1)
    assert (outcome.status, outcome.error) == ("failed", "source.touched")
    assert scenario.store.memory.objects == {}
    assert len(scenario.store.memory.uploads) == scenario.rows() == 1
    scenario.check(await scenario.upload())
    assert set(scenario.reused()) >= ({2} if change is _rewritten_under_the_old_time else {1, 2})
    assert (1 in scenario.sent()) is (change is _rewritten_under_the_old_time)


async def test_file_that_is_only_read_is_not_touched(scenario: ResumeScenario) -> None:
    async def hook(moment: Moment) -> None:
        if moment.operation == "UploadPart":
            os.utime(scenario.path.parent)
            scenario.path.read_bytes()

    scenario.check(await scenario.upload(hook))


async def test_upload_in_parts_the_store_no_longer_allows_is_not_resumed(
    scenario: ResumeScenario,
) -> None:
    await scenario.interrupt()
    scenario.store.provider = tiny(max_part=900, part_size=900)
    scenario.check(await scenario.upload())
    assert scenario.store.count("AbortMultipartUpload") == 1
    assert scenario.reused() == []


async def test_part_size_that_was_set_since_does_not_matter(scenario: ResumeScenario) -> None:
    await scenario.interrupt()
    scenario.store.provider = tiny(part_size=700)
    outcome = await scenario.upload()
    scenario.check(outcome)
    assert outcome.parts == 5
    assert scenario.reused()


# ----------------------------------------------------------------------- the store has other parts


async def test_part_with_different_bytes_is_sent_again(scenario: ResumeScenario) -> None:
    await scenario.interrupt()
    (upload,) = scenario.store.memory.uploads.values()
    upload.parts[1] = bytes(len(upload.parts[1]))
    scenario.check(await scenario.upload())
    assert 1 in scenario.sent()
    assert 2 in scenario.reused()


async def test_part_that_the_store_has_lost_is_sent_again(scenario: ResumeScenario) -> None:
    await scenario.interrupt()
    (upload,) = scenario.store.memory.uploads.values()
    del upload.parts[2]
    scenario.check(await scenario.upload())
    assert 2 in scenario.sent()
    assert 1 in scenario.reused()


async def test_part_missing_from_the_journal_is_used(scenario: ResumeScenario) -> None:
    await scenario.interrupt()
    with closing(sqlite3.connect(scenario.journal)) as raw, raw:
        raw.execute("DELETE FROM part")
    scenario.check(await scenario.upload())
    assert {1, 2} <= set(scenario.reused())


async def test_upload_that_the_store_has_dropped_is_replaced(
    scenario: ResumeScenario,
) -> None:
    await scenario.interrupt()
    scenario.store.memory.uploads.clear()
    scenario.check(await scenario.upload())
    assert scenario.sent() == [1, 2, 3, 4, 5]


class Deaf(HookedStore):
    """Refuses to list parts, or uploads."""

    def __init__(self, status: int, s3_code: str) -> None:
        super().__init__()
        self._error = (status, s3_code)
        self.listings = 0

    async def list_parts(self, key: str, upload_id: str) -> list[StoredPart]:
        del upload_id
        self.listings += 1
        raise error_from_response(Request("ListParts", key, "b", "memory://"), *self._error, "")


@pytest.mark.parametrize(
    ("status", "s3_code"),
    [(403, "AccessDenied"), (500, "InternalError"), (501, "NotImplemented"), (404, "NoSuchKey")],
)
async def test_journal_stands_in_where_parts_are_not_listed(
    tmp_path: Path, status: int, s3_code: str
) -> None:
    store = Deaf(status, s3_code)
    scenario = ResumeScenario(tmp_path, store)
    await scenario.interrupt()
    scenario.check(await scenario.upload())
    assert store.listings == 1
    assert {1, 2} <= set(scenario.reused())
    assert store.count("CreateMultipartUpload") == 0


class Opaque(MemoryStore):
    """ETags that are no MD5."""

    async def upload_part(self, key: str, upload_id: str, number: int, body: Body) -> Receipt:
        receipt = await super().upload_part(key, upload_id, number, body)
        return Receipt(f"opaque-{receipt.etag}")

    async def list_parts(self, key: str, upload_id: str) -> list[StoredPart]:
        parts = await super().list_parts(key, upload_id)
        return [replace(part, etag=f"opaque-{part.etag}") for part in parts]

    async def complete_multipart_upload(
        self,
        key: str,
        upload_id: str,
        parts: Sequence[CompletedPart],
        checksum: Checksum | None = None,
    ) -> Receipt:
        known = [replace(part, etag=part.etag.removeprefix("opaque-")) for part in parts]
        await super().complete_multipart_upload(key, upload_id, known, checksum)
        return Receipt("opaque")

    async def head_object(self, key: str) -> ObjectInfo:
        return replace(await super().head_object(key), etag="opaque")


@pytest.mark.parametrize(("integrity", "resumes"), [("auto", True), ("off", False)])
async def test_md5_in_the_journal_decides_where_etags_are_opaque(
    tmp_path: Path, integrity: str, *, resumes: bool
) -> None:
    """Without one, as with integrity="off", there is no evidence: the part is sent again."""
    scenario = ResumeScenario(tmp_path, HookedStore(Opaque(provider=TINY)), integrity=integrity)
    await scenario.interrupt()
    outcome = await scenario.upload()
    scenario.check(outcome)
    assert ({1, 2} <= set(scenario.reused())) is resumes
    assert outcome.verified_by == ("size" if resumes else "none")


async def test_opaque_part_that_another_has_replaced_is_sent_again(tmp_path: Path) -> None:
    scenario = ResumeScenario(tmp_path, HookedStore(Opaque(provider=TINY)))
    await scenario.interrupt()
    (upload,) = scenario.store.memory.uploads.values()
    upload.parts[1] = bytes(1_000)
    scenario.check(await scenario.upload())
    assert 1 in scenario.sent()


async def test_opaque_part_that_changed_in_the_file_is_sent_again(tmp_path: Path) -> None:
    scenario = ResumeScenario(tmp_path, HookedStore(Opaque(provider=TINY)))
    await scenario.interrupt()
    status = scenario.path.stat()
    with scenario.path.open("r+b") as file:
        file.write(b"changed")
    os.utime(scenario.path, ns=(0, status.st_mtime_ns))
    scenario.check(await scenario.upload())
    assert 1 in scenario.sent()


# ------------------------------------------------------------------- uploads of which nobody knows


async def test_open_upload_is_left_alone_if_the_journal_is_lost(scenario: ResumeScenario) -> None:
    await scenario.interrupt()
    scenario.journal.unlink()
    outcome = await scenario.upload()
    outcome.raise_for_failure()
    assert scenario.store.memory.objects == {"key": scenario.data}
    assert len(scenario.store.memory.uploads) == 1
    assert scenario.reused() == []


@pytest.mark.parametrize("journal", ["", "off"])
async def test_open_upload_of_the_same_bytes_is_adopted(
    scenario: ResumeScenario, journal: str
) -> None:
    await scenario.interrupt()
    before = set(next(iter(scenario.store.memory.uploads.values())).parts)
    scenario.journal.unlink()
    with closing(sqlite3.connect(scenario.journal)) as raw:
        raw.execute("PRAGMA user_version")
    outcome = await scenario.upload(adopt=True, journal=journal or str(scenario.journal))
    outcome.raise_for_failure()
    assert scenario.store.memory.objects == {"key": scenario.data}
    assert scenario.store.memory.uploads == {}
    assert set(scenario.reused()) == before
    assert scenario.store.count("CreateMultipartUpload") == 0


async def test_adopted_upload_is_in_the_journal_once_interrupted(scenario: ResumeScenario) -> None:
    await scenario.interrupt()
    scenario.journal.unlink()
    await scenario.interrupt(adopt=True)
    scenario.check(await scenario.upload())
    assert {1, 2} <= set(scenario.reused())


async def test_adopted_parts_of_another_file_are_sent_again(scenario: ResumeScenario) -> None:
    await scenario.interrupt()
    scenario.journal.unlink()
    scenario.path.write_bytes(os.urandom(_SIZE))
    scenario.check(await scenario.upload(adopt=True))
    assert scenario.sent() == [1, 2, 3, 4, 5]


async def test_uploads_of_other_keys_are_never_adopted(scenario: ResumeScenario) -> None:
    store = scenario.store.memory
    for key in ("key/longer", "ke", "other"):
        upload_id = await store.create_multipart_upload(key, PutOptions(""))
        store.uploads[upload_id].parts[1] = scenario.data[:1_000]
    (await scenario.upload(adopt=True)).raise_for_failure()
    assert scenario.reused() == []
    assert sorted(upload.key for upload in store.uploads.values()) == ["ke", "key/longer", "other"]


def _note_one_without_answer(scenario: ResumeScenario) -> None:
    """Leave the row of a process that died before the response to its Create."""
    database = Database(str(scenario.journal))
    fingerprint = Fingerprint.of(scenario.path.stat())
    database.insert_upload(
        Place("memory://", "memory", "key"), "t", str(scenario.path), fingerprint, 1_000
    )
    database.close()


async def test_create_without_a_response_is_found(scenario: ResumeScenario) -> None:
    _note_one_without_answer(scenario)
    await scenario.store.memory.create_multipart_upload("key", PutOptions(""))
    scenario.check(await scenario.upload())
    assert scenario.store.count("CreateMultipartUpload") == 0


async def test_refused_create_leaves_nothing(scenario: ResumeScenario) -> None:
    hook = fail_with(403, "AccessDenied", operation="CreateMultipartUpload")
    assert not (await scenario.upload(hook)).ok
    assert scenario.rows() == 0


@pytest.mark.parametrize("why", ["two", "parts", "old", "other key"])
async def test_upload_that_may_be_of_another_process_is_not_resumed(
    scenario: ResumeScenario, why: str
) -> None:
    _note_one_without_answer(scenario)
    store = scenario.store.memory
    key = "key/2" if why == "other key" else "key"
    for _ in range(1 + (why == "two")):
        upload_id = await store.create_multipart_upload(key, PutOptions(""))
        if why == "parts":
            store.uploads[upload_id].parts[1] = scenario.data[:1_000]
        if why == "old":
            store.uploads[upload_id].initiated -= 3_600
    others = set(store.uploads)
    (await scenario.upload()).raise_for_failure()
    assert store.objects == {"key": scenario.data}
    assert set(store.uploads) == others


async def test_upload_just_created_by_another_process_is_not_resumed(
    scenario: ResumeScenario,
) -> None:
    """It is at the store, and its maker has not yet noted its id."""
    _note_one_without_answer(scenario)
    created, go_on = anyio.Event(), anyio.Event()
    other = scenario.path.with_name("other")
    content = os.urandom(_SIZE)
    other.write_bytes(content)

    async def hook(moment: Moment) -> None:
        if moment == Moment("after", "CreateMultipartUpload", "key") and not created.is_set():
            created.set()
            await go_on.wait()

    config = UploadConfig(journal=str(scenario.journal))
    scenario.store.hook = hook
    # The other's file is not the noted one, so it creates a new upload.
    async with (
        Uploader(store=scenario.store, config=config) as uploader,
        asyncio.TaskGroup() as tasks,
    ):
        second = tasks.create_task(uploader.upload_file(other, "key"))
        await created.wait()
        _note_one_without_answer(scenario)
        first = await uploader.upload_file(scenario.path, "key")
        assert scenario.store.memory.objects == {"key": scenario.data}
        go_on.set()
    assert first.ok
    assert second.result().ok
    assert scenario.store.memory.objects == {"key": content}
    assert scenario.store.memory.uploads == {}


# ---------------------------------------------------------------------------- two at the same time


@pytest.mark.parametrize("left", [False, True])
@pytest.mark.parametrize("uploaders", [1, 2])
async def test_two_uploads_of_one_key_at_the_same_time(
    scenario: ResumeScenario, uploaders: int, *, left: bool
) -> None:
    """One resumes the upload that was `left`, the other creates a new one."""
    if left:
        await scenario.interrupt()
    completed: list[bytes] = []

    async def hook(moment: Moment) -> None:
        if moment.when == "after" and moment.operation == "CompleteMultipartUpload":
            completed.append(scenario.store.memory.objects["key"])
        await anyio.lowlevel.checkpoint()

    other = scenario.path.with_name("other")
    other.write_bytes(os.urandom(_SIZE))
    scenario.store.hook = hook
    config = UploadConfig(journal=str(scenario.journal))
    async with (
        Uploader(store=scenario.store, config=config) as one,
        Uploader(store=scenario.store, config=config) as two,
        asyncio.TaskGroup() as tasks,
    ):
        uploads = [
            tasks.create_task(uploader.upload_file(path, "key"))
            for uploader, path in (
                (one, scenario.path),
                (two if uploaders == 2 else one, scenario.path),
                (two if uploaders == 2 else one, other),
            )
        ]
    assert all(upload.result().ok for upload in uploads)
    assert len(completed) == 3
    assert sorted(completed) == sorted([scenario.data, scenario.data, other.read_bytes()])
    assert scenario.store.memory.objects == {"key": completed[-1]}
    assert scenario.store.memory.uploads == {}
    assert scenario.rows() == 0
    if left:
        assert sum(upload.result().reused > 0 for upload in uploads) <= 1


# ------------------------------------------------------------------------------------ a real store


class Real:
    """A file of three parts, interrupted at the third, at a real store behind a proxy."""

    def __init__(self, server: LocalS3Server, proxy: FaultProxy, folder: Path, key: str) -> None:
        self.proxy = proxy
        self.path = folder / "file"
        self.key = key
        make_tree(folder, {"file": 11 * MIB})
        self._profile = proxy.profile(server)
        self._config = UploadConfig(
            journal=str(folder / "journal.db"),
            part_size=5 * MIB,
            multipart_threshold=5 * MIB,
            max_attempts=1,
        )
        self.events: list[Event] = []

    async def upload(self, **settings: Any) -> FileOutcome:
        self.events.clear()
        config = replace(self._config, **settings)
        async with Uploader(self._profile, config=config) as uploader:
            return await uploader.upload_file(self.path, self.key, consumers=[self.events.append])

    async def interrupt(self, lane: str) -> int:
        """Send all parts but the third; return how many requests there were."""
        self.proxy.inject("UploadPart:403:part=3:code=ExpiredToken")
        assert not (await self.upload(lane=lane, max_requests=1)).ok
        self.proxy.clear()
        return len(self.proxy.log)

    def since(self, before: int) -> list[tuple[str, int | None]]:
        return [(record.operation, record.part) for record in self.proxy.log[before:]]


@pytest.fixture
def real(
    server: LocalS3Server, s3_fault_proxy: StartFaultProxy, tmp_path: Path, prefix: str
) -> Real:
    return Real(server, s3_fault_proxy(server), tmp_path, f"{prefix}/file")


_LISTINGS = {
    "": {3},
    "ListParts:short-part:part=1": {1, 3},
    "ListParts:missing-part:part=2": {2, 3},
    "ListParts:repeat-token": {3},
    "ListParts:403": {3},
    "ListParts:500": {3},
    "ListParts:501": {3},
    "ListParts:lose": {3},
}
"""What happens to the listing, and which parts are then sent."""


@pytest.mark.parametrize(
    ("lane", "fault"),
    [
        *(("auto", fault) for fault in _LISTINGS),
        *(("boto", fault) for fault in ("", "ListParts:repeat-token", "ListParts:501")),
    ],
)
async def test_object_is_whole_whatever_the_listing_shows(
    real: Real, bucket: Bucket, lane: str, fault: str
) -> None:
    before = await real.interrupt(lane)
    if fault:
        real.proxy.inject(fault)
    (await real.upload(lane=lane)).raise_for_failure()
    assert bucket.get(real.key) == content(real.path)
    assert bucket.open_uploads(real.key) == []
    since = real.since(before)
    assert {part for operation, part in since if operation == "UploadPart"} == _LISTINGS[fault]
    assert sum(operation == "CreateMultipartUpload" for operation, _ in since) == 0
    # A listing without end is left at the second page that leads nowhere.
    assert sum(operation == "ListParts" for operation, _ in since) <= 3


@pytest.mark.parametrize(("part", "size"), [(1, 5 * MIB), (3, MIB)])
async def test_part_with_different_bytes_at_a_real_store_is_not_used(
    real: Real, bucket: Bucket, part: int, size: int
) -> None:
    before = await real.interrupt("auto")
    (upload_id,) = {record.upload_id for record in real.proxy.log[:before] if record.upload_id}
    bucket.client.upload_part(
        Bucket=bucket.name, Key=real.key, UploadId=upload_id, PartNumber=part, Body=bytes(size)
    )
    (await real.upload()).raise_for_failure()
    assert bucket.get(real.key) == content(real.path)
    # Of part 1 SeaweedFS keeps both versions and lists both, so ours need not be sent again.
    sent = {number for operation, number in real.since(before) if number}
    assert {3} <= sent <= {part, 3}


async def test_changed_file_is_not_resumed(real: Real, bucket: Bucket) -> None:
    before = await real.interrupt("auto")
    _longer(real.path)
    (await real.upload()).raise_for_failure()
    assert bucket.get(real.key) == content(real.path)
    assert bucket.open_uploads(real.key) == []
    operations = [operation for operation, _ in real.since(before)]
    assert operations.count("AbortMultipartUpload") == 1
    assert operations.count("UploadPart") == 3


@pytest.mark.parametrize("adopt", [True, False])
async def test_upload_is_adopted_from_a_real_store_if_the_journal_is_lost(
    real: Real, bucket: Bucket, *, adopt: bool
) -> None:
    before = await real.interrupt("auto")
    outcome = await real.upload(adopt=adopt, journal="off")
    outcome.raise_for_failure()
    assert bucket.get(real.key) == content(real.path)
    assert bucket.open_uploads(real.key) == ([] if adopt else [real.key])
    sent = {part for operation, part in real.since(before) if operation == "UploadPart"}
    assert sent == ({3} if adopt else {1, 2, 3})
    assert outcome.reused == (10 * MIB if adopt else 0)


def test_two_processes_upload_the_same_key(
    server: LocalS3Server,
    bucket: Bucket,
    s3_fault_proxy: StartFaultProxy,
    tmp_path: Path,
    prefix: str,
) -> None:
    """Two files, one key, one journal: each is made whole, and the last to complete stays."""
    proxy = s3_fault_proxy(server)
    files = make_tree(tmp_path, {"one/file": 11 * MIB, "two/file": 11 * MIB})
    config = {"part_size": 5 * MIB, "multipart_threshold": 5 * MIB, "max_requests": 2}
    uploads = [
        ChildUpload(
            server, proxy, tmp_path / name, f"{prefix}/file", str(tmp_path / "journal.db"), config
        )
        for name in files
    ]
    # What one left when it was killed, the same one takes up beside the other.
    assert uploads[0].run(killed_at=4).killed
    children = [upload.start() for upload in uploads]
    for ended in [child.wait() for child in children]:
        assert ended.files["file"]["status"] == "committed", ended
        assert ended.warned == []
    completes = [
        record.upload_id for record in proxy.log if record.operation == "CompleteMultipartUpload"
    ]
    assert len(set(completes)) == 2
    assert bucket.get(f"{prefix}/file") in files.values()
    assert bucket.open_uploads(prefix) == []


# ------------------------------------------------------------ committed files of a directory run


@pytest.mark.parametrize(
    ("store", "part_size", "skipped"),
    [
        (MemoryStore(provider=TINY), 1_000, True),
        (Opaque(provider=TINY), 1_000, False),
        # The size of its parts, which nothing notes, is another one now.
        (MemoryStore(provider=TINY), 700, False),
    ],
    ids=["md5", "opaque", "other parts"],
)
async def test_committed_file_with_another_inode_is_skipped_if_its_etag_proves_it(
    tmp_path: Path, store: MemoryStore, part_size: int, *, skipped: bool
) -> None:
    """The file went in parts; a restart has given it another inode."""
    root = tmp_path / "root"
    made = make_tree(root, {"parts": _SIZE, "put": 1_900, "refused": 4_000})
    hooked = HookedStore(store, fail_with(403, "X", operation="UploadPart", key="refused"))
    hooked.provider = tiny(multipart_threshold=1_950, part_size=part_size)
    config = UploadConfig(journal=str(tmp_path / "journal.db"), max_attempts=1)
    async with Uploader(store=hooked, config=config) as uploader:
        report = await uploader.upload_directory(root)
        assert {failure.name for failure in report.failures} == {"refused"}
        hooked.hook = do_nothing
        hooked.calls.clear()
        _replaced(root / "parts")
        hooked.provider = tiny(multipart_threshold=1_950, part_size=1_000)
        report = await uploader.upload_directory(root)
    report.raise_for_failures()
    assert store.objects == made
    sent = sum(call == Moment("before", "UploadPart", "parts", call.part) for call in hooked.calls)
    assert (sent == 0) is skipped
    reused = {outcome.name: outcome.reused for outcome in report.files}
    assert reused["parts"] == (_SIZE if skipped else 0)
