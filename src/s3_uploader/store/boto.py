"""The reference lane: every call through the aioboto3 client, one attempt each.

Only low-level calls are used; aioboto3's own `upload_file` hangs when a part fails for good, goes
on sending after a cancellation, and does not size parts for the store's part limit.
"""

import asyncio
import base64
import io
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Mapping, Sequence
from contextlib import asynccontextmanager, closing
from typing import TYPE_CHECKING, Any, cast

import aioboto3
from aiobotocore.session import AioSession
from anyio import CancelScope, create_memory_object_stream, create_task_group
from botocore.config import Config
from botocore.handlers import add_expect_header

from s3_uploader.config import UploadConfig
from s3_uploader.errors import S3UploaderError, StoreError
from s3_uploader.events import Lane
from s3_uploader.plan import StoreLimits
from s3_uploader.profile import Profile
from s3_uploader.store.answers import Request, check_bucket, error_from_os
from s3_uploader.store.base import (
    Body,
    BytesBody,
    CompletedPart,
    ObjectInfo,
    Receipt,
    StoredPart,
    UploadInfo,
)
from s3_uploader.store.boto_errors import translated

if TYPE_CHECKING:
    from types_aiobotocore_s3.client import S3Client

_READ = 1024 * 1024
_FULL = {"ChecksumType": "FULL_OBJECT"}


@asynccontextmanager
async def open_boto_store(profile: Profile, config: UploadConfig) -> AsyncGenerator["BotoStore"]:
    """Open a client for the profile's bucket and close it at the end.

    Raises:
        ConfigError: a setting is outside what the store allows.
        StoreError: "store.no_credentials" if an AWS profile gives none, "store.bad_bucket".
    """
    check_bucket(profile.bucket)
    with translated(Request("connect", "", profile.bucket, profile.endpoint_url)):
        session = _session(profile)
        credentials: Any = await cast("Any", session.get_credentials())
        opening = session.client(
            "s3",
            endpoint_url=profile.endpoint_url or None,
            verify=config.ca_bundle or None,
            config=_client_config(profile, config),
        )
        client = await opening.__aenter__()
    try:
        # Bodies with a read() would be sent with `Expect: 100-continue`; with an empty body it
        # stalls a pooled connection for 60 s.
        client.meta.events.unregister("before-call.s3", add_expect_header)
        yield BotoStore(client, profile, config, credentials)
    finally:
        await opening.__aexit__(None, None, None)


async def find_credentials(profile: Profile) -> Any:
    """Look for the credentials of a profile as a new process would; None if there are none.

    Raises:
        StoreError: "store.no_credentials" if a source of them fails.
    """
    with translated(Request("connect", "", profile.bucket, profile.endpoint_url)):
        return await cast("Any", _session(profile).get_credentials())


def _session(profile: Profile) -> aioboto3.Session:
    """Return a session of the AWS profile, or of none: AWS_PROFILE must not reach ours."""
    # Name in the config file, variable, default, conversion: no variable.
    variable = (None, None, profile.aws_profile or None, None)
    return aioboto3.Session(
        botocore_session=AioSession(session_vars={"profile": variable}),
        aws_access_key_id=profile.access_key or None,
        aws_secret_access_key=profile.secret_key or None,
        aws_session_token=profile.session_token or None,
        region_name=profile.region or None,
    )


def _client_config(profile: Profile, config: UploadConfig) -> Any:
    limits = config.limits(profile.endpoint_url)
    return Config(
        signature_version="s3v4",
        s3={
            "addressing_style": "path" if profile.endpoint_url else "auto",
            # Signing a payload takes a pass over it before the one that sends it, and most
            # stores do not compare; the ETag is the proof.
            "payload_signing_enabled": False,
        },
        # One retry policy, ours: two loops multiply.
        retries={"total_max_attempts": 1, "mode": "standard"},
        # Many stores refuse the default checksum headers, or store their trailers as content.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        connect_timeout=config.connect_timeout,
        read_timeout=config.response_timeout,
        max_pool_connections=limits.max_requests + 4,
        tcp_keepalive=True,
    )


class BotoStore:
    """One bucket through an open aioboto3 client.

    Attributes:
        credentials: what aioboto3 signs with, None for nothing.
    """

    def __init__(
        self, client: "S3Client", profile: Profile, config: UploadConfig, credentials: Any
    ) -> None:
        self.credentials = credentials
        self._client = client
        self._stall_timeout = config.stall_timeout
        self._response_timeout = config.response_timeout
        self._rest_key = profile.secret_key.startswith("rpa_")
        self.bucket = profile.bucket
        self.endpoint = client.meta.endpoint_url
        self.region = client.meta.region_name
        self.limits: StoreLimits = config.limits(self.endpoint)

    @property
    def lane(self) -> Lane:
        """The lane that carries bodies."""
        return "boto"

    async def put_object(
        self, key: str, body: Body, *, content_type: str, metadata: Mapping[str, str]
    ) -> Receipt:
        """Store `body` with one request; a body in memory also carries Content-MD5."""
        extra = _checksum(body.crc64nvme)
        if isinstance(body, BytesBody) and body.md5:
            extra["ContentMD5"] = base64.b64encode(bytes.fromhex(body.md5)).decode()

        def call(payload: Any) -> Awaitable[Any]:
            return self._client.put_object(
                Bucket=self.bucket,
                Key=key,
                Body=payload,
                ContentLength=body.size,
                ContentType=content_type,
                Metadata=metadata,
                **extra,
            )

        return await self._send("PutObject", key, body, call)

    async def create_multipart_upload(
        self, key: str, *, content_type: str, metadata: Mapping[str, str], crc64nvme: bool = False
    ) -> str:
        """Return the upload id of a new multipart upload."""
        extra: dict[str, Any] = {"ChecksumAlgorithm": "CRC64NVME"} | _FULL if crc64nvme else {}
        with translated(self._request("CreateMultipartUpload", key)):
            answer = await self._client.create_multipart_upload(
                Bucket=self.bucket, Key=key, ContentType=content_type, Metadata=metadata, **extra
            )
        return answer["UploadId"]

    async def upload_part(self, key: str, upload_id: str, number: int, body: Body) -> Receipt:
        """Store one part."""

        def call(payload: Any) -> Awaitable[Any]:
            return self._client.upload_part(
                Bucket=self.bucket,
                Key=key,
                UploadId=upload_id,
                PartNumber=number,
                Body=payload,
                ContentLength=body.size,
                **_checksum(body.crc64nvme),
            )

        return await self._send("UploadPart", key, body, call)

    async def complete_multipart_upload(
        self, key: str, upload_id: str, parts: Sequence[CompletedPart], *, crc64nvme: str = ""
    ) -> Receipt:
        """Publish the object."""
        extra = _checksum(crc64nvme) | _FULL if crc64nvme else {}
        with translated(self._request("CompleteMultipartUpload", key)):
            answer = await self._client.complete_multipart_upload(
                Bucket=self.bucket,
                Key=key,
                UploadId=upload_id,
                MultipartUpload={
                    "Parts": [{"PartNumber": part.number, "ETag": part.etag} for part in parts]
                },
                **extra,
            )
        return _receipt(answer)

    async def abort_multipart_upload(self, key: str, upload_id: str) -> None:
        """Discard an upload."""
        try:
            with translated(self._request("AbortMultipartUpload", key)):
                await self._client.abort_multipart_upload(
                    Bucket=self.bucket, Key=key, UploadId=upload_id
                )
        except StoreError as error:
            if error.code != "store.no_such_upload":
                raise

    async def list_parts(self, key: str, upload_id: str) -> list[StoredPart]:
        """Return the parts the store holds."""
        with translated(self._request("ListParts", key)):
            pages = self._client.get_paginator("list_parts").paginate(
                Bucket=self.bucket, Key=key, UploadId=upload_id
            )
            return [
                StoredPart(part["PartNumber"], part["ETag"].strip('"'), part["Size"])
                async for page in pages
                for part in page.get("Parts", [])
            ]

    async def list_multipart_uploads(self, prefix: str) -> list[UploadInfo]:
        """Return the open uploads below `prefix`."""
        with translated(self._request("ListMultipartUploads", prefix)):
            pages = self._client.get_paginator("list_multipart_uploads").paginate(
                Bucket=self.bucket, Prefix=prefix
            )
            return [
                UploadInfo(
                    upload["Key"],
                    upload["UploadId"],
                    upload["Initiated"].timestamp() if "Initiated" in upload else 0.0,
                )
                async for page in pages
                for upload in page.get("Uploads", [])
            ]

    async def head_object(self, key: str) -> ObjectInfo:
        """Return what the store says of an object."""
        with translated(self._request("HeadObject", key)):
            answer = await self._client.head_object(Bucket=self.bucket, Key=key)
        return ObjectInfo(
            key, answer["ContentLength"], answer["ETag"].strip('"'), answer.get("Metadata", {})
        )

    async def get_object(self, key: str) -> AsyncIterator[bytes]:
        """Yield an object's bytes."""
        with translated(self._request("GetObject", key)):
            answer = await self._client.get_object(Bucket=self.bucket, Key=key)
            async with answer["Body"] as response:
                async for block in response.content.iter_chunked(_READ):
                    yield block

    async def delete_object(self, key: str) -> None:
        """Delete an object."""
        with translated(self._request("DeleteObject", key)):
            await self._client.delete_object(Bucket=self.bucket, Key=key)

    def _request(self, operation: str, key: str, size: int = 0) -> Request:
        return Request(operation, key, self.bucket, self.endpoint, size, self._rest_key)

    async def _send(self, operation: str, key: str, body: Body, call: Any) -> Receipt:
        """Make a call that carries a body, ended when no byte moves for the stall timeout."""
        request = self._request(operation, key, body.size)
        if isinstance(body, BytesBody):
            with translated(request):
                return _receipt(await call(body.data))
        answers: list[Any] = []
        failures: list[StoreError] = []
        payload = _Payload(body, self._stall_timeout, self._response_timeout)
        with closing(payload):
            async with create_task_group() as tasks:
                payload.watch = tasks.cancel_scope
                tasks.start_soon(payload.pump)
                try:
                    with translated(request):
                        answers.append(await call(payload))
                except StoreError as error:
                    failures.append(error)
                    tasks.cancel_scope.cancel()
        # aiohttp wraps whatever a body raises; the body's own error is the cause.
        for cause in (payload.error, *failures):
            if cause is not None:
                raise cause
        if not answers:
            raise error_from_os(request, TimeoutError("no byte moved"))
        return _receipt(answers[0])


class _Payload:
    """A body in the shape aiohttp streams, with its error kept and its progress watched.

    The body is read in the caller's task group and handed over: aiohttp cancels its own tasks in
    ways that no shield holds off, and an answer can come before a body's pass has ended.
    """

    def __init__(self, body: Body, stall: float, response: float) -> None:
        self.watch = CancelScope()
        self._body = body
        self._stall = stall
        self._response = response
        self._send, self._receive = create_memory_object_stream[bytes](0)
        self.error: S3UploaderError | None = None

    def read(self) -> bytes:
        """Exist, so that botocore takes this for a file; aiohttp iterates instead."""
        raise NotImplementedError

    def seek(self, offset: int) -> None:
        """Exist, so that botocore's signer by awscrt takes this for a file too."""
        del offset
        raise io.UnsupportedOperation("a body is sent in one pass")

    async def pump(self) -> None:
        """Read the body and hand it to aiohttp."""
        chunks = cast("AsyncGenerator[bytes]", self._body.chunks())
        with self._send:
            try:
                async for chunk in chunks:
                    self._extend(self._stall)
                    await self._send.send(chunk)
            except S3UploaderError as error:
                self.error = error
            finally:
                with CancelScope(shield=True):
                    await chunks.aclose()
                self._extend(self._response)

    async def __aiter__(self) -> AsyncGenerator[bytes]:
        async for chunk in self._receive:
            yield chunk
        if self.error is not None:
            raise self.error

    def close(self) -> None:
        """Close both ends, whichever of them was never reached."""
        self._send.close()
        self._receive.close()

    def _extend(self, seconds: float) -> None:
        self.watch.deadline = asyncio.get_running_loop().time() + seconds


def _checksum(crc64nvme: str) -> dict[str, Any]:
    return {"ChecksumCRC64NVME": crc64nvme} if crc64nvme else {}


def _receipt(answer: Mapping[str, Any]) -> Receipt:
    by_kms = answer.get("ServerSideEncryption", "").startswith("aws:kms")
    opaque = by_kms or bool(answer.get("SSECustomerAlgorithm"))
    return Receipt(answer.get("ETag", "").strip('"'), opaque, answer.get("ChecksumCRC64NVME", ""))
