"""A plain S3 client: a test decides every byte of a request, and sees every byte of a response."""

import http.client
import re
import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from botocore import xform_name
from botocore.config import Config

from s3_uploader.testing import FaultProxy, LocalS3Server


@dataclass(frozen=True)
class Response:
    """A response as the client received it."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def code(self) -> str:
        found = re.search(rb"<Code>(.*?)</Code>", self.body)
        return found[1].decode() if found else ""


class Client:
    """Makes S3 requests with presigned URLs."""

    def __init__(self, server: LocalS3Server, url: str, session: Any) -> None:
        self.bucket = server.bucket
        self.address = urlsplit(url).netloc
        self.s3 = session.create_client(
            "s3",
            endpoint_url=url,
            region_name=server.datacenter.lower(),
            aws_access_key_id=server.access_key,
            aws_secret_access_key=server.secret_key,
            config=Config(s3={"addressing_style": "path"}, retries={"total_max_attempts": 1}),
        )

    def connect(self, seconds: float = 10) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(self.address, timeout=seconds)

    def dial(self) -> socket.socket:
        host, _, port = self.address.partition(":")
        return socket.create_connection((host, int(port)), timeout=10)

    def target(self, operation: str, **params: Any) -> tuple[str, str]:
        """Return method and target of a signed request."""
        url = self.s3.generate_presigned_url(
            xform_name(operation), Params={"Bucket": self.bucket, **params}
        )
        method = self.s3.meta.service_model.operation_model(operation).http["method"]
        return method, url.removeprefix(f"http://{self.address}")

    def call(
        self,
        operation: str,
        body: Any = b"",
        *,
        over: http.client.HTTPConnection | None = None,
        headers: dict[str, str] | None = None,
        **params: Any,
    ) -> Response:
        connection = over or self.connect()
        try:
            target = self.target(operation, **params)
            connection.request(*target, body=body, headers=headers or {})
            response = connection.getresponse()
            fields = {name.lower(): value for name, value in response.headers.items()}
            return Response(response.status, fields, response.read())
        finally:
            if over is None:
                connection.close()

    def raw(self, operation: str, body: bytes = b"", **params: Any) -> bytes:
        """Return all that is sent back, to the end of the connection, which the client asks for."""
        method, target = self.target(operation, **params)
        head = (
            f"{method} {target} HTTP/1.1\r\nHost: {self.address}\r\nConnection: close\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        with self.dial() as connection:
            connection.sendall(head.encode() + body)
            return b"".join(iter(lambda: connection.recv(65536), b""))

    def create_upload(self, key: str, parts: int = 0) -> str:
        """Create a multipart upload with `parts` parts of 9 bytes."""
        body = self.call("CreateMultipartUpload", Key=key).body
        upload = re.search(rb"<UploadId>(.*?)</UploadId>", body)
        assert upload
        upload_id = upload[1].decode()
        for number in range(1, parts + 1):
            got = self.call(
                "UploadPart", b"123456789", Key=key, UploadId=upload_id, PartNumber=number
            )
            assert got.status == 200
        return upload_id


Connect = Callable[[FaultProxy], Client]
