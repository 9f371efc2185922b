"""S3 servers of many makes, for `make test-stores`: how each starts, and how it differs from S3.

What is not installed is skipped by name: `make test-stores` installs all but Ceph, whose packages
come with the system (Debian: radosgw, ceph-mon, ceph-osd, ceph-mgr).
"""

import re
import shutil
import socket
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from lanes import Server
from rclone_server import RcloneServer, rclone_server
from s3_uploader.testing import LocalS3Server
from s3_uploader.testing.process import ServerProcess

HOME = Path(sys.prefix) / "stores"
"""Where `make test-stores` installs them, apart from what the tests themselves need."""

_HOST = "127.0.0.1"
_BUCKET = "test-volume"


@dataclass(frozen=True)
class Make:
    """A make of S3 server.

    Attributes:
        start: starts one for a block.
        differs: what it does that S3 does not, and the tests that fail of it, and must: patterns
            that their names begin with, without "test_".
        lists_uploads: it has ListMultipartUploads. Where it has not, nobody can see which uploads
            are open: the tests that look for one fail, and those that look for none see none.
    """

    start: Callable[[], AbstractContextManager[Server]]
    differs: Mapping[str, Sequence[str]] = field(default_factory=dict)
    lists_uploads: bool = True

    def difference(self, test: str) -> str:
        """Return why a test must fail, "" if it must not."""
        name = test.removeprefix("test_")
        return next(
            (
                how
                for how, tests in self.differs.items()
                if any(re.match(begins, name) for begins in tests)
            ),
            "",
        )


@contextmanager
def _serve(
    program: Path,
    *options: str,
    environ: Mapping[str, str] | None = None,
    keys: tuple[str, str] = ("user_test", "rps_test"),
) -> Iterator[Server]:
    """Start a server; in options and variables "{port}", "{other}", "{folder}" are its own."""
    if not program.exists():
        pytest.skip(f"{program.name} is not installed: make test-stores")
    with tempfile.TemporaryDirectory(prefix="s3-uploader-store-") as folder:
        port, other = _free_ports()
        own = {"port": port, "other": other, "folder": folder}
        filled = [option.format(**own) for option in options]
        variables = {"HOME": folder, "PATH": "/usr/bin:/bin:/usr/sbin:/sbin"}
        variables |= {name: value.format(**own) for name, value in (environ or {}).items()}
        command = [str(program), *filled]
        with ServerProcess(
            command, folder=folder, environ=variables, grace=0, orphans=[folder]
        ) as process:
            server = RcloneServer(f"http://{_HOST}:{port}", _BUCKET, *keys)
            process.wait_until(lambda: has_bucket(server))
            yield server


def _free_ports() -> tuple[int, int]:
    with socket.create_server((_HOST, 0)) as one, socket.create_server((_HOST, 0)) as other:
        return one.getsockname()[1], other.getsockname()[1]


def has_bucket(server: Server) -> bool:
    """Return whether the server responds and has the bucket, created now if need be."""
    client: Any = botocore.session.get_session().create_client(
        "s3",
        endpoint_url=server.http_url,
        region_name="us-east-1",
        aws_access_key_id=server.access_key,
        aws_secret_access_key=server.secret_key,
        config=Config(s3={"addressing_style": "path"}, retries={"total_max_attempts": 1}),
    )
    try:
        if server.bucket not in {found["Name"] for found in client.list_buckets()["Buckets"]}:
            client.create_bucket(Bucket=server.bucket)
    except (BotoCoreError, ClientError):
        return False
    finally:
        client.close()
    return True


def _python(name: str) -> Path:
    return HOME / "python/bin" / name


def _moto() -> AbstractContextManager[Server]:
    return _serve(_python("moto_server"), "-H", _HOST, "-p", "{port}")


def _localbucket() -> AbstractContextManager[Server]:
    return _serve(_python("localbucket"), "--port", "{port}", "{folder}/data")


def _ministack() -> AbstractContextManager[Server]:
    environ = {"GATEWAY_PORT": "{port}", "MINISTACK_HOST": _HOST}
    return _serve(_python("ministack"), environ=environ)


def _s3rver() -> AbstractContextManager[Server]:
    options = ("-a", _HOST, "-p", "{port}", "-d", "{folder}", "--no-vhost-buckets")
    return _serve(HOME / "node_modules/.bin/s3rver", *options, keys=("S3RVER", "S3RVER"))


def _ceph() -> AbstractContextManager[Server]:
    missing = [name for name in _CEPH if shutil.which(name) is None]
    if missing:
        pytest.skip(f"{', '.join(missing)} not installed: the system's packages radosgw and ceph-*")
    script = str(Path(__file__).parent.parent / "stores/ceph.sh")
    return _serve(Path("/bin/sh"), script, "{folder}", "{port}", "{other}")


_CEPH = ("ceph", "ceph-mon", "ceph-mgr", "ceph-osd", "radosgw", "radosgw-admin")

_ANY_KEYS = {"takes any keys": ("wrong_credentials_are_fatal",)}
_ANY_DIGEST = {"does not look at Content-MD5": ("wrong_md5_is_refused",)}
_ANY_SOURCE = {"does not compare the version of what it copies": ("copy_of_another_version",)}
_KEEPS_PIECES = {
    "stores what came of a PUT that broke off": ("error_of_a_body_passes_through",),
}
_ETAG_OF_THE_WHOLE = (
    "object_of_another_tool_is_compared_by_etag",
    "object_with_odd_part_sizes_is_compared_by_content.*-True",
    "composite_etag_of_the_server",
)
_LISTS_NOTHING = {
    "lists neither uploads nor parts": (
        *("key_arrives", "parts_make_an_object", "part_sent_again", "open_uploads_are_listed"),
        *("abort_may_be_repeated", "kept_upload_is_listed_and_resumed"),
        *("cancelled_upload_is_pending.*-keep", "upload_that_could_not_be_aborted"),
        *(
            "uploads_of_others",
            "newest_upload_of_others",
            "without_a_journal",
            "upload_is_adopted_from_a_real_store",
        ),
        "object_is_whole_whatever_the_listing_shows.*-auto-ListParts:(short|missing)-part",
        "part_with_different_bytes_at_a_real_store_is_not_used.*-1-",
    ),
}
_NO_ABORT = {
    "has no Abort": (
        *("nothing_is_visible", "aborted_upload_is_no_such_upload", "kept_upload_is_aborted"),
        *("kept_upload_is_listed_by_the_next_process", "refused_abort_leaves"),
        *("upload_gone_from_the_store", "changed_file_is_not_resumed"),
        "cancelled_upload_is_pending.*-abort",
    ),
}

MAKES: dict[str, Make] = {
    "seaweedfs": Make(LocalS3Server),
    "rclone": Make(
        rclone_server,
        {
            "shows the MD5 of the whole in HEAD": (
                "object_of_another_tool_is_compared_by_etag.*-7340131-7340032-",
                "object_with_odd_part_sizes_is_compared_by_content.*-True",
            ),
            "takes no other content for a part it has": (
                "part_with_different_bytes_at_a_real_store",
            ),
        },
    ),
    "moto": Make(
        _moto,
        {
            **_ANY_KEYS,
            **_ANY_DIGEST,
            **_ANY_SOURCE,
            "responds with 500 to a part of an upload that is gone": (
                "aborted_upload_is_no_such_upload",
            ),
            "says of each upload that it began in 2010": ("newest_upload_of_others",),
        },
    ),
    "ministack": Make(_ministack, _ANY_KEYS),
    "localbucket": Make(
        _localbucket,
        {
            **_ANY_KEYS,
            **_ANY_DIGEST,
            **_KEEPS_PIECES,
            **_LISTS_NOTHING,
            "gives an object in parts the MD5 of the whole as its ETag": _ETAG_OF_THE_WHOLE,
            "keeps no metadata": ("metadata_is_kept", "copy_is_the_object"),
            "responds to HEAD of a missing bucket as to that of a key": (
                "missing_bucket_is_not_reported_as_missing_objects",
            ),
        },
        lists_uploads=False,
    ),
    "s3rver": Make(
        _s3rver,
        {
            "takes any secret": ("wrong_credentials_are_fatal.*(signature|rest_key)",),
            **_ANY_DIGEST,
            **_KEEPS_PIECES,
            **_LISTS_NOTHING,
            **_NO_ABORT,
            **_ANY_SOURCE,
            "sends all where the first byte is asked for": ("range_of_an_object_is_read",),
            "finds no source of a copy by some names": (r"copy_is_the_object.*-(a\+b|~)",),
            "gives an object in parts the MD5 of the whole as its ETag": _ETAG_OF_THE_WHOLE,
            "dies of a Complete with a part that was not sent": ("part_that_was_never_sent",),
        },
        lists_uploads=False,
    ),
    "ceph": Make(
        _ceph,
        {
            "responds to Complete with an empty ETag": (
                *("parts_make_an_object", "composite_etag_of_the_server"),
                "object_of_another_tool_is_compared_by_etag",
            ),
            "responds with 500 to a Complete of an upload that is gone": (
                "aborted_upload_is_no_such_upload",
            ),
            **_ANY_SOURCE,
        },
    ),
}
