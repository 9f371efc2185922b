"""A directory run that was killed: the next one sends what is missing, a finished one nothing."""

import hashlib
import os
import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest

from child_process import ChildResult, ChildUpload, Condition, count_rows
from conftest import Bucket
from s3_uploader.sizes import MIB
from s3_uploader.testing import FaultProxy, LocalS3Server, Record, StartFaultProxy
from trees import make_tree

pytest_plugins = ["s3_uploader.testing.pytest_plugin"]

_MIDDLE = [f"d/middle{number}" for number in range(6)]
"""Files that go with one request and are noted when they are committed."""


class DirectoryScenario:
    def __init__(
        self, server: LocalS3Server, proxy: FaultProxy, bucket: Bucket, folder: Path, prefix: str
    ) -> None:
        self.proxy = proxy
        self.bucket = bucket
        self.prefix = prefix
        self.root = folder / "root"
        self.journal = folder / "journal.db"
        sizes: dict[str, bytes | int] = dict.fromkeys(_MIDDLE, 300_000)
        self.content = make_tree(self.root, {**sizes, "small": 100, "z/parts": 21 * MIB})
        config = {"part_size": 5 * MIB, "multipart_threshold": 5 * MIB, "max_requests": 2}
        self.upload = ChildUpload(server, proxy, self.root, prefix, str(self.journal), config)

    def run(self, killed_when: Condition | None = None) -> tuple[ChildResult, Counter[str]]:
        """Upload; return how it ended, and how often each file was sent, parts counted."""
        before = self.proxy.count()
        ended = self.upload.run(killed_when=killed_when)
        return ended, Counter(self.name(record) for record in self.sent(before))

    def sent(self, before: int) -> list[Record]:
        records = self.proxy.log[before:]
        return [record for record in records if record.operation in {"PutObject", "UploadPart"}]

    def name(self, record: Record) -> str:
        return record.key.removeprefix(f"{self.prefix}/")

    def kill(self) -> set[str]:
        """Kill a run when one part is all that is missing; return the files noted as committed."""

        def now() -> bool:
            done = [record for record in self.proxy.log if record.status == 200]
            puts = sum(record.operation == "PutObject" for record in done)
            parts = sum(record.operation == "UploadPart" for record in done)
            return (puts, parts) == (len(_MIDDLE) + 1, 4)

        self.proxy.inject("UploadPart:stall:part=3")
        ended, _ = self.run(now)
        self.proxy.clear()
        assert ended.killed
        with closing(sqlite3.connect(self.journal)) as database:
            keys = {key for (key,) in database.execute("SELECT key FROM committed")}
        committed = {key.removeprefix(f"{self.prefix}/") for key in keys}
        # The last may have been killed before it was noted.
        assert len(committed) >= len(_MIDDLE) - 1
        return committed

    def noted(self) -> int:
        return count_rows(self.journal, "committed") + count_rows(self.journal, "upload")

    def check(self, ended: ChildResult) -> None:
        statuses = {outcome["status"] for outcome in ended.files.values()}
        assert statuses == {"committed"}, ended
        assert ended.warned == []
        assert self.bucket.tree(self.prefix) == self.content
        assert self.bucket.open_uploads(self.prefix) == []
        assert self.noted() == 0


@pytest.fixture
def scenario(
    server: LocalS3Server,
    s3_fault_proxy: StartFaultProxy,
    bucket: Bucket,
    tmp_path: Path,
    prefix: str,
) -> DirectoryScenario:
    return DirectoryScenario(server, s3_fault_proxy(server), bucket, tmp_path, prefix)


def test_run_after_a_kill_sends_only_what_is_missing(scenario: DirectoryScenario) -> None:
    committed = scenario.kill()
    assert committed <= set(_MIDDLE)
    ended, sent = scenario.run()
    scenario.check(ended)
    # Small files are always sent; of the large ones those that the killed run had noted are not.
    missing = set(_MIDDLE) - committed
    # The third part may have been on its way, whole, when the process died.
    parts = sent.pop("z/parts", 0)
    assert parts <= 1
    assert ended.files["z/parts"]["reused"] == (21 - 5 * parts) * MIB
    assert sent == {**dict.fromkeys(missing, 1), "small": 1}
    for name in committed:
        assert ended.files[name]["reused"] == ended.files[name]["size"] == 300_000
        assert ended.files[name]["verified_by"] == "etag-md5"
    # A run that has finished is forgotten: the next one sends everything.
    ended, sent = scenario.run()
    scenario.check(ended)
    assert {
        name: outcome["reused"] for name, outcome in ended.files.items() if outcome["reused"]
    } == {}
    assert sent == {**dict.fromkeys(scenario.content, 1), "z/parts": 5}


def _rewrite(scenario: DirectoryScenario, name: str) -> None:
    data = os.urandom(300_000)
    (scenario.root / name).write_bytes(data)
    scenario.content[name] = data


def _touch(scenario: DirectoryScenario, name: str) -> None:
    os.utime(scenario.root / name)


def _delete_object(scenario: DirectoryScenario, name: str) -> None:
    scenario.bucket.client.delete_object(
        Bucket=scenario.bucket.name, Key=f"{scenario.prefix}/{name}"
    )


def _replace_object(scenario: DirectoryScenario, name: str) -> None:
    scenario.bucket.client.put_object(
        Bucket=scenario.bucket.name, Key=f"{scenario.prefix}/{name}", Body=bytes(300_000)
    )


def _restore(scenario: DirectoryScenario, name: str) -> None:
    """Put the same bytes there as another file of the same time."""
    _put_there(scenario, name, scenario.content[name])


def _disguise(scenario: DirectoryScenario, name: str) -> None:
    """Put different bytes there that only their hash distinguishes."""
    scenario.content[name] = os.urandom(300_000)
    _put_there(scenario, name, scenario.content[name])


def _put_there(scenario: DirectoryScenario, name: str, data: bytes) -> None:
    path = scenario.root / name
    before = path.stat()
    other = scenario.root.with_name("other")
    other.write_bytes(data)
    other.replace(path)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_ino != before.st_ino


def test_files_with_another_inode_are_skipped_if_their_hash_proves_them(
    scenario: DirectoryScenario,
) -> None:
    """Another mount or another container gives other inode and device numbers."""
    same, other, *_ = sorted(scenario.kill())
    _restore(scenario, same)
    _disguise(scenario, other)
    ended, sent = scenario.run()
    scenario.check(ended)
    assert (sent[same], sent[other]) == (0, 1)
    assert ended.files[same]["reused"] == 300_000


def test_changes_between_the_runs_are_sent_again(scenario: DirectoryScenario) -> None:
    committed = sorted(scenario.kill())
    changes = (_rewrite, _touch, _delete_object, _replace_object)
    changed, same = committed[: len(changes)], committed[len(changes) :]
    for change, name in zip(changes, changed, strict=True):
        change(scenario, name)
    ended, sent = scenario.run()
    scenario.check(ended)
    assert same
    assert {name: sent[name] for name in committed} == {
        **dict.fromkeys(changed, 1),
        **dict.fromkeys(same, 0),
    }
    assert all(ended.files[name]["reused"] == 0 for name in changed)


def test_another_prefix_or_directory_is_another_run(scenario: DirectoryScenario) -> None:
    scenario.kill()
    scenario.prefix += "-other"
    scenario.upload.key = scenario.prefix
    _, sent = scenario.run()
    assert scenario.bucket.tree(scenario.prefix) == scenario.content
    assert sent == {**dict.fromkeys(scenario.content, 1), "z/parts": 5}
    assert scenario.noted() > 0


def test_run_with_a_failure_is_resumed(scenario: DirectoryScenario) -> None:
    scenario.proxy.inject(f"PutObject:403:key=*/{_MIDDLE[0]}")
    ended, _ = scenario.run()
    assert ended.files[_MIDDLE[0]]["status"] == "failed"
    scenario.proxy.clear()
    ended, sent = scenario.run()
    scenario.check(ended)
    assert sent.keys() == {"small", _MIDDLE[0]}


def test_large_tree_is_uploaded_with_few_descriptors(
    server: LocalS3Server,
    bucket: Bucket,
    s3_fault_proxy: StartFaultProxy,
    tmp_path: Path,
    prefix: str,
) -> None:
    files: dict[str, bytes | int] = {f"{n % 10}/{n}": n.to_bytes(4, "big") for n in range(1_000)}
    content = make_tree(tmp_path / "root", {**files, "parts": 30 * MIB})
    ended = ChildUpload(
        server,
        s3_fault_proxy(server),
        tmp_path / "root",
        prefix,
        str(tmp_path / "journal.db"),
        {"part_size": 5 * MIB, "multipart_threshold": 5 * MIB},
        {"RLIMIT_NOFILE": 64},
    ).run()
    assert {outcome["status"] for outcome in ended.files.values()} == {"committed"}
    assert len(ended.files) == 1_001
    assert bucket.get(f"{prefix}/parts") == content.pop("parts")
    md5s = {name: _md5(data) for name, data in content.items()}
    etags = bucket.etags(prefix)
    assert {name: etags[name] for name in md5s} == md5s
    assert ended.warned == []


def _md5(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()
