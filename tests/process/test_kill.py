"""Killed at any request, an upload is taken up by the next process and leaves nothing behind."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from child_process import ChildResult, ChildUpload, count_rows
from conftest import Bucket
from lanes import RCLONE_LANES, Server
from s3_uploader.sizes import KIB, MIB
from s3_uploader.testing import Fault, FaultProxy, LoseResponse
from trees import make_tree

_IN_FLIGHT = 4
_PARTS = 6
_FEW = 3
"""Parts on SeaweedFS, which takes none below 5 MiB."""


@dataclass(frozen=True)
class KillScenario:
    """A file of `parts` parts, and where it goes."""

    bucket: Bucket
    proxy: FaultProxy
    path: Path
    journal: Path
    upload: ChildUpload
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

    def check(self, last: ChildResult, *, before: int = 0, bound: bool = True) -> None:
        """Check what must hold after the last run, however the runs before it ended."""
        outcome = last.files[self.path.name]
        assert outcome["status"] == "committed", outcome["message"]
        assert self.bucket.get(self.key) == self.path.read_bytes()
        assert self.bucket.open_uploads(self.key) == []
        assert count_rows(self.journal) == count_rows(self.journal, "part") == 0
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
def make_scenario(
    request: pytest.FixtureRequest, tmp_path: Path, prefix: str, proxies: list[FaultProxy]
) -> "ScenarioFactory":
    return ScenarioFactory(request, tmp_path, prefix, proxies)


class ScenarioFactory:
    """Makes scenarios, each with its own key and journal."""

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

    def __call__(self, lane: str, parts: int, *faults: Fault, name: str = "f") -> KillScenario:
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
        upload = ChildUpload(server, proxy, path, key, str(journal), config)
        return KillScenario(bucket, proxy, path, journal, upload, parts, part_size)


def _kill_and_go_on(scenario: KillScenario, number: int) -> ChildResult:
    before = scenario.proxy.count()
    first = scenario.upload.run(killed_at=number)
    assert first.killed
    taken = {record.part for record in scenario.proxy.log[before:] if record.upstream_status == 200}
    between = scenario.proxy.count()
    last = scenario.upload.run()
    scenario.check(last, before=before)
    again = {record.part for record in scenario.proxy.log[between:] if record.part}
    assert again == set(range(1, scenario.parts + 1)) - taken
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
def test_upload_killed_at_a_request_is_resumed_by_the_next_process(
    make_scenario: ScenarioFactory, lane: str, number: int
) -> None:
    parts = _PARTS if lane in RCLONE_LANES else _FEW
    _kill_and_go_on(make_scenario(lane, parts), number)


@pytest.mark.parametrize("lane", ["wire-http", "boto-http", "wire-rclone"])
def test_upload_killed_before_the_response_to_complete_is_not_sent_again(
    make_scenario: ScenarioFactory, lane: str
) -> None:
    scenario = make_scenario(lane, 3, Fault("CompleteMultipartUpload", LoseResponse(), times=1))
    assert scenario.upload.run(killed_after=scenario.requests).killed
    assert count_rows(scenario.journal) == 1
    size, before = scenario.path.stat().st_size, scenario.proxy.count()
    assert scenario.bucket.get(scenario.key) == scenario.path.read_bytes()
    last = scenario.upload.run()
    scenario.check(last)
    again = [record.operation for record in scenario.proxy.log[before:]]
    assert again == ["ListParts", "HeadObject"]
    assert last.files["file"]["reused"] == size
    assert last.events.get("BytesSent", 0) == 0
    assert last.events["PartReused"] == 3


def test_file_changed_after_it_was_published_is_sent_again(
    make_scenario: ScenarioFactory,
) -> None:
    scenario = make_scenario(
        "wire-rclone", 3, Fault("CompleteMultipartUpload", LoseResponse(), times=1)
    )
    assert scenario.upload.run(killed_after=scenario.requests).killed
    scenario.path.write_bytes(bytes(scenario.path.stat().st_size))
    before = scenario.sent()
    scenario.check(scenario.upload.run(), bound=False)
    assert scenario.sent() - before == scenario.path.stat().st_size


@pytest.mark.parametrize("lane", ["wire-rclone"])
def test_upload_killed_again_and_again_ends_at_last(
    make_scenario: ScenarioFactory, lane: str
) -> None:
    # More than what a process sends in two runs, also if its end comes late.
    scenario = make_scenario(lane, 3 * _PARTS)
    kills = 0
    # Each time ListParts, and at least one part more.
    ended = scenario.upload.run(killed_at=4)
    while ended.killed:
        kills += 1
        ended = scenario.upload.run(killed_at=4)
    # Sent at most: the file, and what was in flight at each kill.
    scenario.check(ended, bound=False)
    assert kills >= 2
    size = scenario.path.stat().st_size
    assert scenario.sent() <= size + kills * (_IN_FLIGHT + 1) * scenario.part_size


def _every_request(scenario: KillScenario) -> None:
    failures = {}
    for number in range(1, scenario.requests + 1):
        try:
            _kill_and_go_on(scenario, number)
        except AssertionError as error:
            failures[number] = error
        scenario.bucket.client.delete_object(Bucket=scenario.bucket.name, Key=scenario.key)
    assert failures == {}


@pytest.mark.long
@pytest.mark.parametrize(("lane", "parts"), [("wire-http", 24), ("wire-rclone", 200)])
def test_upload_killed_at_every_request_is_resumed(
    make_scenario: ScenarioFactory, lane: str, parts: int
) -> None:
    _every_request(make_scenario(lane, parts))
