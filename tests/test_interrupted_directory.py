"""A directory run that was killed: the next one sends what is missing, a finished one nothing."""

import os
import sqlite3
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from conftest import Bucket
from killing import Ended, Uploading
from s3_uploader.plan import MIB
from s3_uploader.testing import FaultProxy, LocalS3Server, Record, StartFaultProxy
from trees import make_tree

pytest_plugins = ["s3_uploader.testing.pytest_plugin"]

_MIDDLE = [f"d/middle{number}" for number in range(6)]
"""Files that go with one request and are noted when they are committed."""


class Scene:
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
        # One request at a time, so that it is known what is committed at a kill.
        config = {"part_size": 5 * MIB, "multipart_threshold": 5 * MIB, "max_requests": 1}
        self.upload = Uploading(server, proxy, self.root, prefix, str(self.journal), config)

    def run(self, killed_at: int = 0) -> tuple[Ended, Counter[str]]:
        """Upload; return how it ended, and how often each file was sent, parts counted."""
        before = self.proxy.count()
        ended = self.upload.run(killed_at=killed_at)
        return ended, Counter(self.name(record) for record in self.sent(before))

    def sent(self, before: int) -> list[Record]:
        records = self.proxy.log[before:]
        return [record for record in records if record.operation in {"PutObject", "UploadPart"}]

    def name(self, record: Record) -> str:
        return record.key.removeprefix(f"{self.prefix}/")

    def kill(self) -> set[str]:
        """Kill a run within the multipart file, the last of the tree; return what is committed."""
        # Six, the small one, Create and two parts; the third has begun to come.
        ended, _ = self.run(killed_at=11)
        assert ended.killed
        committed = {self.name(r) for r in self.proxy.log if r.operation == "PutObject"}
        assert len(committed) >= 6
        return committed

    def noted(self) -> int:
        with closing(sqlite3.connect(self.journal)) as database:
            queries = [f"SELECT count(*) FROM {table}" for table in ("committed", "upload")]  # noqa: S608
            return sum(int(database.execute(query).fetchone()[0]) for query in queries)

    def check(self, ended: Ended) -> None:
        statuses = {outcome["status"] for outcome in ended.files.values()}
        assert statuses == {"committed"}, ended
        assert ended.warned == []
        assert self.bucket.tree(self.prefix) == self.content
        assert self.bucket.open_uploads(self.prefix) == []
        assert self.noted() == 0


@pytest.fixture
def scene(
    server: LocalS3Server,
    s3_fault_proxy: StartFaultProxy,
    bucket: Bucket,
    tmp_path: Path,
    prefix: str,
) -> Scene:
    return Scene(server, s3_fault_proxy(server), bucket, tmp_path, prefix)


def test_killed_midway_the_next_run_sends_only_what_is_missing(scene: Scene) -> None:
    committed = scene.kill()
    assert scene.noted() >= 1
    ended, sent = scene.run()
    scene.check(ended)
    reused = {name for name, outcome in ended.files.items() if outcome["reused"]}
    # Small files are always sent; of the others those that the killed run had committed are not.
    large = committed - {"small"}
    assert reused >= large
    assert sent.keys().isdisjoint(large)
    assert sent["small"] == 1
    for name in large & set(_MIDDLE):
        assert ended.files[name]["reused"] == ended.files[name]["size"] == 300_000
        assert ended.files[name]["verified_by"] == "etag-md5"
    if "z/parts" in reused:
        assert sent["z/parts"] < 5
    # A run that has finished is forgotten: the next one sends everything.
    ended, sent = scene.run()
    scene.check(ended)
    assert {
        name: outcome["reused"] for name, outcome in ended.files.items() if outcome["reused"]
    } == {}
    assert sent == {**dict.fromkeys(scene.content, 1), "z/parts": 5}


def _rewrite(scene: Scene, name: str) -> None:
    data = os.urandom(300_000)
    (scene.root / name).write_bytes(data)
    scene.content[name] = data


def _touch(scene: Scene, name: str) -> None:
    os.utime(scene.root / name)


def _delete_object(scene: Scene, name: str) -> None:
    scene.bucket.client.delete_object(Bucket=scene.bucket.name, Key=f"{scene.prefix}/{name}")


def _replace_object(scene: Scene, name: str) -> None:
    scene.bucket.client.put_object(
        Bucket=scene.bucket.name, Key=f"{scene.prefix}/{name}", Body=bytes(300_000)
    )


@pytest.mark.parametrize("change", [_rewrite, _touch, _delete_object, _replace_object])
def test_what_changed_between_the_runs_is_sent_again(
    scene: Scene, change: Callable[[Scene, str], None]
) -> None:
    committed = sorted(scene.kill() & set(_MIDDLE))
    change(scene, committed[0])
    ended, sent = scene.run()
    scene.check(ended)
    assert sent[committed[0]] == 1
    assert ended.files[committed[0]]["reused"] == 0
    assert sent.keys().isdisjoint(committed[1:])


def test_another_prefix_or_directory_is_another_run(scene: Scene) -> None:
    scene.kill()
    scene.prefix += "-other"
    scene.upload.key = scene.prefix
    ended, sent = scene.run()
    assert scene.bucket.tree(scene.prefix) == scene.content
    assert sent == {**dict.fromkeys(scene.content, 1), "z/parts": 5}
    assert scene.noted() > 0


def test_a_run_with_a_failure_is_gone_on_with(scene: Scene) -> None:
    scene.proxy.inject(f"PutObject:403:key=*/{_MIDDLE[0]}")
    ended, _ = scene.run()
    assert ended.files[_MIDDLE[0]]["status"] == "failed"
    scene.proxy.clear()
    ended, sent = scene.run()
    scene.check(ended)
    assert sent.keys() == {"small", _MIDDLE[0]}


@pytest.mark.parametrize("descriptors", [64])
def test_with_few_descriptors_a_large_tree_is_uploaded(
    server: LocalS3Server,
    bucket: Bucket,
    s3_fault_proxy: StartFaultProxy,
    tmp_path: Path,
    prefix: str,
    descriptors: int,
) -> None:
    files: dict[str, bytes | int] = {f"{n % 10}/{n}": n.to_bytes(4, "big") for n in range(1_000)}
    content = make_tree(tmp_path / "root", {**files, "parts": 30 * MIB})
    ended = Uploading(
        server,
        s3_fault_proxy(server),
        tmp_path / "root",
        prefix,
        str(tmp_path / "journal.db"),
        {"part_size": 5 * MIB, "multipart_threshold": 5 * MIB},
        {"RLIMIT_NOFILE": descriptors},
    ).run()
    assert {outcome["status"] for outcome in ended.files.values()} == {"committed"}
    assert len(ended.files) == 1_001
    assert bucket.tree(prefix) == content
    assert ended.warned == []
