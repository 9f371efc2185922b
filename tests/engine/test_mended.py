"""Sequences that once ended wrongly."""

import asyncio
import multiprocessing
import signal
import socket
import sqlite3
import ssl
import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import anyio
import anyio.lowlevel
import pytest
import trustme
from anyio import to_thread

from s3_uploader import Profile, StoreError, UploadConfig, Uploader, signals
from s3_uploader.checksums import Checksum
from s3_uploader.engine.journal.database import Database
from s3_uploader.store import Body, CompletedPart, ObjectInfo, PutOptions, Receipt
from s3_uploader.testing import MemoryStore
from s3_uploader.testing.hooked import TINY, HookedStore, Moment, do_nothing
from trees import make_tree

pytestmark = pytest.mark.anyio

_SOON = UploadConfig(backoff_base=0, max_attempts=3, outcome_timeout=0.2)
_WRONG = "0123456789abcdef0123456789abcdef-5"


class Liar(MemoryStore):
    """Spoils what it merges, and says in every answer what it has made of it."""

    async def complete_multipart_upload(
        self,
        key: str,
        upload_id: str,
        parts: Sequence[CompletedPart],
        checksum: Checksum | None = None,
    ) -> Receipt:
        await super().complete_multipart_upload(key, upload_id, parts, checksum)
        stored = self._objects[key]
        self._objects[key] = replace(stored, data=bytes(len(stored.data)))
        return Receipt(_WRONG)

    async def head_object(self, key: str) -> ObjectInfo:
        return replace(await super().head_object(key), etag=_WRONG)


async def test_our_token_does_not_overrule_an_etag_that_contradicts(tmp_path: Path) -> None:
    make_tree(tmp_path, {"f": 4_500})
    async with Uploader(store=Liar(provider=TINY), config=_SOON) as uploader:
        outcome = await uploader.upload_file(tmp_path / "f", "k")
    assert outcome.status == "failed"
    assert outcome.error.startswith("integrity.")


async def test_nor_does_it_for_the_process_that_goes_on(tmp_path: Path) -> None:
    make_tree(tmp_path, {"f": 4_500})
    config = replace(_SOON, journal=str(tmp_path / "journal.db"))
    store = HookedStore(Liar(provider=TINY))

    async def deaf(moment: Moment) -> None:
        if moment.operation in {"CompleteMultipartUpload", "HeadObject"} and moment.when == "after":
            raise StoreError("store.busy", status=504, retryable=True)

    store.hook = deaf
    for expected in ("unknown", "failed"):
        async with Uploader(store=store, config=config) as uploader:
            outcome = await uploader.upload_file(tmp_path / "f", "k")
        assert outcome.status == expected
        store.hook = do_nothing


class Nameless(MemoryStore):
    """Answers the creation of an upload without its id."""

    async def create_multipart_upload(self, key: str, options: PutOptions) -> str:
        del key, options
        return ""

    async def abort_multipart_upload(self, key: str, upload_id: str) -> None:
        assert upload_id, "that is DELETE of the object itself"
        await super().abort_multipart_upload(key, upload_id)

    async def upload_part(self, key: str, upload_id: str, number: int, body: Body) -> Receipt:
        assert upload_id, "that is PUT of the object itself"
        return await super().upload_part(key, upload_id, number, body)


async def test_an_upload_without_an_id_is_none(tmp_path: Path) -> None:
    make_tree(tmp_path, {"f": 4_500})
    async with Uploader(store=Nameless(provider=TINY), config=_SOON) as uploader:
        outcome = await uploader.upload_file(tmp_path / "f", "k")
    assert (outcome.status, outcome.error) == ("failed", "store.not_s3")


@pytest.mark.parametrize("answers", [False, True])
async def test_a_cancellation_in_a_handshake_sends_nothing(
    tmp_path: Path, *, answers: bool
) -> None:
    make_tree(tmp_path, {"f": 1024 * 1024})
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    accepted, go_on = threading.Event(), threading.Event()
    received: list[bytes] = []

    def serve() -> None:
        connection, _ = listener.accept()
        with connection:
            accepted.set()
            go_on.wait(20)
            if answers:
                try:
                    with context.wrap_socket(connection, server_side=True) as tls:
                        received.append(tls.recv(1000))
                except OSError:
                    return

    with socket.create_server(("localhost", 0)) as listener:
        server = threading.Thread(target=serve)
        server.start()
        profile = Profile(
            name="p",
            endpoint_url=f"https://localhost:{listener.getsockname()[1]}/",
            region="r",
            bucket="bucket",
            access_key="a",
            secret_key="s",
        )
        config = replace(_SOON, ca_bundle=str(tmp_path / "ca.pem"))
        async with Uploader(profile, config=config) as uploader:
            task = asyncio.create_task(uploader.upload_file(tmp_path / "f", "k"))
            with anyio.fail_after(20):
                await to_thread.run_sync(accepted.wait)
                task.cancel()
                await asyncio.wait([task])
        assert [one.name for one in threading.enumerate() if "wire" in one.name] == []
        go_on.set()
        server.join(20)
    assert not any(received)


def test_a_signal_that_comes_too_late_to_cancel_is_not_lost() -> None:
    async def main() -> bool:
        with anyio.CancelScope(shield=True):
            signal.raise_signal(signal.SIGINT)
            # The handler has run; what it asks of the loop comes before this task again.
            await anyio.lowlevel.checkpoint()
        return True

    with pytest.raises(KeyboardInterrupt):
        anyio.run(signals.run_cancellable, main, frozenset({signal.SIGINT}))


def _open_and_close(path: str) -> None:
    connection = sqlite3.connect(path)
    connection.execute("SELECT count(*) FROM upload").fetchone()
    connection.close()


def test_a_second_journal_of_the_process_leaves_the_first_its_locks(tmp_path: Path) -> None:
    """Without them another process takes itself for the last, and removes the log in use."""
    path = str(tmp_path / "journal.db")
    first, second = Database(path), Database(path)
    other = multiprocessing.get_context("spawn").Process(target=_open_and_close, args=(path,))
    other.start()
    other.join()
    assert other.exitcode == 0
    assert (tmp_path / "journal.db-wal").exists()
    second.close()
    first.close()


async def test_a_cancelled_verification_does_not_wait_for_the_hash(tmp_path: Path) -> None:
    """The file is sparse and large: hashing it takes far longer than the test is given."""
    with (tmp_path / "f").open("wb") as file:
        file.truncate(1 << 36)

    class Pretender(MemoryStore):
        async def head_object(self, key: str) -> ObjectInfo:
            return ObjectInfo(key, 1 << 36, "0" * 32, {})

    async with Uploader(store=Pretender(), config=_SOON) as uploader:
        with anyio.fail_after(30), anyio.move_on_after(0.2) as scope:
            await uploader.verify_file(tmp_path / "f", "k")
    assert scope.cancelled_caught
