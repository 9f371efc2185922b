"""A real S3 server on this machine: SeaweedFS on free loopback ports, ended with its block."""

import http.client
import json
import os
import secrets
import shutil
import socket
import sysconfig
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Self

import anyio
from anyio import to_thread

from s3_uploader.errors import ServerError
from s3_uploader.profile import DEFAULT_PROFILE, VARIABLES, Profile
from s3_uploader.testing.process import ServerProcess

_HOST = "127.0.0.1"
_GRPC_OFFSET = 10_000
"""SeaweedFS serves gRPC on each HTTP port + 10000."""

_SERVICES = ("master", "volume", "filer", "s3")
"""The services that listen on the ports, in their order; the last port is that of TLS."""


class LocalS3Server:
    """SeaweedFS with generated credentials and one bucket; sync and async context manager.

    ```python
    with LocalS3Server() as server:
        os.environ.update(server.environ())
        upload_file("model.bin", "my-model/model.bin")
    ```

    Listens on 127.0.0.1 only. Its data lives in a temporary directory that is deleted with it, also
    if this process is killed.

    Args:
        bucket: the bucket that exists from the start.
        datacenter: datacenter, and so region, of the profile.
        tls: also listen with TLS, with a certificate of a new authority (`ca_bundle`); the
            profile then names the https endpoint. Needs trustme.

    Attributes:
        endpoint_url: the profile's endpoint.
        http_url, https_url: both endpoints; `https_url` is "" without TLS.
        ca_bundle: PEM file of the authority, "" without TLS.
        access_key, secret_key: the generated pair, with all rights.

    Raises:
        ServerError: `weed` or trustme is not installed (names the extra), or the server ended or
            did not respond within 60 s.
    """

    def __init__(
        self, *, bucket: str = "test-volume", datacenter: str = "US-CA-2", tls: bool = False
    ) -> None:
        self.bucket = bucket
        self.datacenter = datacenter
        self.tls = tls
        self.access_key = f"user_{secrets.token_hex(8)}"
        self.secret_key = f"rps_{secrets.token_hex(20)}"
        self.http_url = ""
        self.https_url = ""
        self.ca_bundle = ""
        self._stack: ExitStack | None = None

    @property
    def endpoint_url(self) -> str:
        """The endpoint of the profile."""
        return self.https_url or self.http_url

    def profile(self) -> Profile:
        """Return the profile of this server, ready for `Uploader`."""
        return Profile(
            name=DEFAULT_PROFILE,
            endpoint_url=self.endpoint_url,
            region=self.datacenter.lower(),
            bucket=self.bucket,
            access_key=self.access_key,
            secret_key=self.secret_key,
        )

    def environ(self) -> dict[str, str]:
        """Return the environment variables that make this server the default profile.

        All variables that say where to upload are among them; those without a use are blank.
        """
        values = dict.fromkeys(VARIABLES, "") | {
            "RUNPOD_S3_ACCESS_KEY": self.access_key,
            "RUNPOD_S3_SECRET_KEY": self.secret_key,
            "RUNPOD_DATACENTER": self.datacenter,
            "RUNPOD_VOLUME_ID": self.bucket,
            "RUNPOD_S3_ENDPOINT_URL": self.endpoint_url,
        }
        if self.ca_bundle:
            values["S3_UPLOADER_CA_BUNDLE"] = self.ca_bundle
        return values

    def write_profile(self, path: str | os.PathLike[str], name: str = DEFAULT_PROFILE) -> None:
        """Write a profile file for this server, readable by its owner only."""
        lines = [
            f"[{name}]",
            f"aws_access_key_id = {self.access_key}",
            f"aws_secret_access_key = {self.secret_key}",
            f"datacenter = {self.datacenter}",
            f"volume_id = {self.bucket}",
            f"endpoint_url = {self.endpoint_url}",
        ]
        if self.ca_bundle:
            lines.append(f"ca_bundle = {self.ca_bundle}")
        target = Path(path)
        target.touch(mode=0o600)
        target.chmod(0o600)
        target.write_text("\n".join(lines) + "\n", encoding="utf-8")

    def start(self) -> None:
        """Start the server and wait until it serves the bucket; `with` calls this."""
        weed = _find_weed()
        with ExitStack() as stack:
            folder = Path(stack.enter_context(_temporary_directory()))
            tls_options = self._make_certificate(folder) if self.tls else []
            ports = _free_ports(5)
            sockets = _sockets(ports)
            stack.enter_context(_removed(sockets))
            identities = folder / "identities.json"
            identities.touch(mode=0o600)
            identities.write_text(json.dumps(self._identities()), encoding="utf-8")
            command = _command(weed, folder, ports, identities)
            if self.tls:
                command += [f"-s3.port.https={ports[4]}", *tls_options]
            # Killed, not asked: its data is thrown away, and a graceful end takes 10 s.
            process = stack.enter_context(
                ServerProcess(command, folder=folder, grace=0, orphans=[folder, *sockets])
            )
            self.http_url = f"http://{_HOST}:{ports[3]}"
            self.https_url = f"https://{_HOST}:{ports[4]}" if self.tls else ""
            process.wait_until(lambda: self._ready(filer=ports[2], gateway=ports[3]))
            self._stack = stack.pop_all()

    def stop(self) -> None:
        """End the server and delete its data; leaving `with` calls this."""
        stack, self._stack = self._stack, None
        if stack is not None:
            stack.close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    async def __aenter__(self) -> Self:
        await to_thread.run_sync(self.start)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with anyio.CancelScope(shield=True):
            await to_thread.run_sync(self.stop)

    def _identities(self) -> dict[str, object]:
        pair = {"accessKey": self.access_key, "secretKey": self.secret_key}
        return {"identities": [{"name": "owner", "credentials": [pair], "actions": ["Admin"]}]}

    def _make_certificate(self, folder: Path) -> list[str]:
        try:
            import trustme  # noqa: PLC0415  (of the extra, and used here only)
        except ImportError as error:
            raise ServerError("server.no_trustme") from error
        authority = trustme.CA()
        certificate = authority.issue_cert(_HOST, "localhost")
        bundle, chain, key = (folder / name for name in ("ca.pem", "cert.pem", "key.pem"))
        authority.cert_pem.write_to_path(bundle)
        for blob in certificate.cert_chain_pems:
            blob.write_to_path(chain, append=True)
        key.touch(mode=0o600)
        certificate.private_key_pem.write_to_path(key)
        self.ca_bundle = str(bundle)
        return [f"-s3.cert.file={chain}", f"-s3.key.file={key}"]

    def _ready(self, *, filer: int, gateway: int) -> bool:
        """Make the bucket and store a file through the filer, then see the gateway respond."""
        probe = f"/buckets/{self.bucket}/.ready"
        return (
            _responds(filer, "POST", f"/buckets/{self.bucket}/", {200, 201, 204, 409})
            and _responds(filer, "PUT", probe, {200, 201}, b"ready")
            and _responds(filer, "DELETE", probe, {204})
            and _responds(gateway, "GET", f"/{self.bucket}", {200, 403})
        )


def _find_weed() -> str:
    scripts = sysconfig.get_path("scripts")
    weed = shutil.which("weed", path=scripts) or shutil.which("weed")
    if weed is None:
        raise ServerError("server.no_binary")
    return weed


def _command(weed: str, folder: Path, ports: list[int], identities: Path) -> list[str]:
    master, volume, filer, gateway, _ = ports
    return [
        weed,
        "-logtostderr=true",
        "server",
        f"-dir={folder}",
        f"-ip={_HOST}",
        f"-ip.bind={_HOST}",
        f"-master.port={master}",
        "-master.telemetry=false",
        "-master.electionTimeout=1s",
        "-master.volumeSizeLimitMB=1024",
        f"-volume.port={volume}",
        "-volume.max=0",
        "-filer",
        f"-filer.port={filer}",
        f"-filer.localSocket={folder / 'filer.sock'}",
        "-s3",
        f"-s3.port={gateway}",
        f"-s3.config={identities}",
        f"-s3.localSocket={folder / 's3.sock'}",
        # A typing error in the bucket's name must not make a new bucket.
        "-s3.autoCreateBucket=false",
        # Fixed ports of features not used here, on which a second server would fail.
        "-s3.port.iceberg=0",
        "-s3.port.lance=0",
    ]


@contextmanager
def _temporary_directory() -> Iterator[str]:
    folder = tempfile.mkdtemp(prefix="s3-uploader-server-")
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _sockets(ports: list[int]) -> list[Path]:
    """Return the sockets that weed puts into /tmp, wherever its data is, and leaves behind."""
    return [
        Path(f"/tmp/seaweedfs-{service}-grpc-{port + _GRPC_OFFSET}.sock")
        for service, port in zip(_SERVICES, ports, strict=False)
    ]


@contextmanager
def _removed(files: list[Path]) -> Iterator[None]:
    try:
        yield
    finally:
        for file in files:
            file.unlink(missing_ok=True)


def _free_ports(count: int) -> list[int]:
    """Return ports that are free, and free 10,000 higher as well."""
    found: list[int] = []
    with ExitStack() as held:
        while len(found) < count:
            port = 20_000 + secrets.randbelow(25_000)
            with suppress(OSError):
                for number in (port, port + _GRPC_OFFSET):
                    listener = held.enter_context(socket.socket())
                    listener.bind((_HOST, number))
                found.append(port)
    return found


def _responds(port: int, method: str, path: str, wanted: set[int], body: bytes = b"") -> bool:
    connection = http.client.HTTPConnection(_HOST, port, timeout=5)
    try:
        connection.request(method, path, body=body)
        return connection.getresponse().status in wanted
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
