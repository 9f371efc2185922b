"""Neither the journal nor events nor records of the log hold a secret."""

import logging
from pathlib import Path

import pytest

from child_process import ChildUpload
from s3_uploader import UploadConfig, Uploader
from s3_uploader.events import Event
from s3_uploader.testing import FaultProxy, LocalS3Server
from trees import make_tree


def test_no_secret_is_in_the_journal(
    server: LocalS3Server,
    tmp_path: Path,
    prefix: str,
) -> None:
    """Nor in the WAL, of a process that was killed."""
    make_tree(tmp_path, {"files/f": 300_000, "files/g": 6_000_000})
    state = tmp_path / "state"
    config = {"part_size": 5 << 20, "multipart_threshold": 5 << 20}
    with FaultProxy(server) as proxy:
        upload = ChildUpload(
            server, proxy, tmp_path / "files", prefix, str(state / "journal.db"), config
        )
        assert upload.run(killed_at=4).killed
    kept = {found.name: found.read_bytes() for found in state.iterdir()}
    assert {"journal.db", "journal.db-wal", "journal.db-shm", "journal.db.lock"} == set(kept)
    assert len(kept["journal.db-wal"]) > 1000
    for data in kept.values():
        for secret in (server.access_key, server.secret_key):
            assert secret.encode() not in data


@pytest.mark.anyio
async def test_no_secret_is_in_events_and_records(
    server: LocalS3Server, tmp_path: Path, prefix: str, caplog: pytest.LogCaptureFixture
) -> None:
    make_tree(tmp_path, {"files/f": 300_000, "files/g": 6_000_000})
    events: list[Event] = []
    caplog.set_level(logging.DEBUG)
    with FaultProxy(server, ["UploadPart:503:first=1", "PutObject:403"]) as proxy:
        config = UploadConfig(
            journal=str(tmp_path / "journal.db"), part_size=5 << 20, multipart_threshold=5 << 20
        )
        async with Uploader(proxy.profile(server), config=config) as uploader:
            report = await uploader.upload_directory(
                tmp_path / "files", prefix, consumers=[events.append]
            )
    assert (report.success, report.failed) == (1, 1)
    shown = "\n".join(map(repr, events))
    assert "RequestRetried" in shown
    assert "UploadPart" in caplog.text
    for secret in (server.access_key, server.secret_key):
        assert secret not in shown
        assert secret not in caplog.text
