"""Killed at any request, an upload is taken up by the next process and leaves nothing behind."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from conftest import Bucket
from killing import Ended, Uploading, rows
from lanes import RCLONE_LANES, Server
from s3_uploader.sizes import KIB, MIB
from s3_uploader.testing import Fault, FaultProxy, LoseResponse
from trees import make_tree

_IN_FLIGHT = 4
_PARTS = 6
_FEW = 3
"""Parts on SeaweedFS, which takes none below 5 MiB."""


@dataclass(frozen=True)
class Scene:
    """A file of `parts` parts, and where it goes."""

    bucket: Bucket
    proxy: FaultProxy
    path: Path
    journal: Path
    upload: Uploading
    parts: int
    part_size: int

    @property
    def requests(self) -> int:
        """Requests of an undisturbed upload: Create, the parts, Complete."""
        return self.parts + 2

    def sent(self, before: int = 0) -> int:
        """Bytes of all parts' bodies, as the proxy received them after `before` requests."""
        return sum(record.body_bytes for record in self.proxy.log[before:] if record.part)

    @property
    def key(self) -> str:
        return self.upload.key

    def check(self, last: Ended, *, before: int = 0, bound: bool = True) -> None:
        """Check what must hold after the last run, however the runs before it ended."""
        outcome = last.files[self.path.name]
        assert outcome["status"] == "committed", outcome["message"]
        assert self.bucket.get(self.key) == self.path.read_bytes()
        assert self.bucket.open_uploads(self.key) == []
        assert rows(self.journal) == rows(self.journal, "part") == 0
        assert last.warned == []
        if bound:
            most = self.path.stat().st_size + (_IN_FLIGHT + 1) * self.part_size
            assert self.sent(before) <= most


@pytest.fixture
def proxies() -> Iterator[list[FaultProxy]]:
    running: list[FaultProxy] = []
    yield running
    for proxy in running:
        proxy.stop()


@pytest.fixture
def kill_scene(
    request: pytest.FixtureRequest, tmp_path: Path, prefix: str, proxies: list[FaultProxy]
) -> "Scenes":
    return Scenes(request, tmp_path, prefix, proxies)


class Scenes:
    """Makes scenes, each with a key and a journal of its own."""

    def __init__(
        self,
        request: pytest.FixtureRequest,
        folder: Path,
        prefix: str,
        proxies: list[FaultProxy],
    ) -> None:
        self._request = request
        self._folder = folder
        self._prefix = prefix
        self._proxies = proxies

    def __call__(self, lane: str, parts: int, *faults: Fault, name: str = "f") -> Scene:
        on_rclone = lane in RCLONE_LANES
        part_size = 16 * KIB if on_rclone else 5 * MIB
        fixture = "rclone" if on_rclone else "server"
        server: Server = self._request.getfixturevalue(fixture)
        bucket: Bucket = self._request.getfixturevalue("rclone_bucket" if on_rclone else "bucket")
        proxy = FaultProxy(server.http_url, faults)
        proxy.start()
        self._proxies.append(proxy)
        path = self._folder / "file"
        if not path.exists():
            # The last part is a short one.
            make_tree(self._folder, {"file": parts * part_size - 777})
        journal = self._folder / f"{name}.db"
        config = {
            "part_size": part_size,
            "min_part_size": 1 if on_rclone else part_size,
            "multipart_threshold": part_size,
            "max_requests": _IN_FLIGHT,
            "lane": "boto" if lane.startswith("boto") else "auto",
        }
        key = f"{self._prefix}/{name}"
        upload = Uploading(server, proxy, path, key, str(journal), config)
        return Scene(bucket, proxy, path, journal, upload, parts, part_size)


def _kill_and_go_on(scene: Scene, number: int) -> Ended:
    before = scene.proxy.count()
    first = scene.upload.run(killed_at=number)
    assert first.killed
    taken = {record.part for record in scene.proxy.log[before:] if record.upstream_status == 200}
    between = scene.proxy.count()
    last = scene.upload.run()
    scene.check(last, before=before)
    again = {record.part for record in scene.proxy.log[between:] if record.part}
    assert again == set(range(1, scene.parts + 1)) - taken
    return last


@pytest.mark.parametrize(
    ("lane", "number"),
    [
        *(("wire-http", number) for number in (1, 3, _FEW + 1, _FEW + 2)),
        *(("boto-http", number) for number in (1, 3)),
        *(("wire-rclone", number) for number in (1, 2, 4, _PARTS + 1, _PARTS + 2)),
        *(("boto-rclone", number) for number in (1, 5)),
    ],
)
def test_killed_at_a_request_the_next_process_goes_on(
    kill_scene: Scenes, lane: str, number: int
) -> None:
    parts = _PARTS if lane in RCLONE_LANES else _FEW
    _kill_and_go_on(kill_scene(lane, parts), number)


@pytest.mark.parametrize("lane", ["wire-http", "boto-http", "wire-rclone"])
def test_killed_before_it_hears_that_all_is_published(kill_scene: Scenes, lane: str) -> None:
    scene = kill_scene(lane, 3, Fault("CompleteMultipartUpload", LoseResponse(), times=1))
    assert scene.upload.run(killed_after=scene.requests).killed
    assert rows(scene.journal) == 1
    size, before = scene.path.stat().st_size, scene.proxy.count()
    assert scene.bucket.get(scene.key) == scene.path.read_bytes()
    last = scene.upload.run()
    scene.check(last)
    again = [record.operation for record in scene.proxy.log[before:]]
    assert again == ["ListParts", "HeadObject"]
    assert last.files["file"]["reused"] == size
    assert last.events.get("BytesSent", 0) == 0
    assert last.events["PartReused"] == 3


def test_a_file_that_changed_after_it_was_published_is_sent_again(kill_scene: Scenes) -> None:
    scene = kill_scene("wire-rclone", 3, Fault("CompleteMultipartUpload", LoseResponse(), times=1))
    assert scene.upload.run(killed_after=scene.requests).killed
    scene.path.write_bytes(bytes(scene.path.stat().st_size))
    before = scene.sent()
    scene.check(scene.upload.run(), bound=False)
    assert scene.sent() - before == scene.path.stat().st_size


@pytest.mark.parametrize("lane", ["wire-rclone"])
def test_killed_again_and_again_it_ends_at_last(kill_scene: Scenes, lane: str) -> None:
    # More than what a process sends in two runs, also if its end comes late.
    scene = kill_scene(lane, 3 * _PARTS)
    kills = 0
    # Each time ListParts, and at least one part more.
    ended = scene.upload.run(killed_at=4)
    while ended.killed:
        kills += 1
        ended = scene.upload.run(killed_at=4)
    # Sent at most: the file, and what was in flight at each kill.
    scene.check(ended, bound=False)
    assert kills >= 2
    size = scene.path.stat().st_size
    assert scene.sent() <= size + kills * (_IN_FLIGHT + 1) * scene.part_size


def _every_request(scene: Scene) -> None:
    failures = {}
    for number in range(1, scene.requests + 1):
        try:
            _kill_and_go_on(scene, number)
        except AssertionError as error:
            failures[number] = error
        scene.bucket.client.delete_object(Bucket=scene.bucket.name, Key=scene.key)
    assert failures == {}


@pytest.mark.long
@pytest.mark.parametrize(("lane", "parts"), [("wire-http", 24), ("wire-rclone", 200)])
def test_killed_at_every_request(kill_scene: Scenes, lane: str, parts: int) -> None:
    _every_request(kill_scene(lane, parts))
