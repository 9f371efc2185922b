"""A synchronous S3 client in botocore's shape, for an environment that has no botocore.

It has the calls that the tests make, signs with our own signer and reads documents with our own
reader: where botocore is installed, the tests look at a bucket with that.
"""

import http.client
import io
import time
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from s3_uploader.store.document import Element, parts_document, read_document
from s3_uploader.store.sigv4 import (
    UNSIGNED_PAYLOAD,
    Credentials,
    Signer,
    canonical_query,
    quote_path,
)


class ClientError(Exception):
    """A response that is no success; botocore has an exception of that name for it."""


class PlainClient:
    """The methods of botocore's client that the tests call, one connection each."""

    def __init__(self, url: str, region: str, access_key: str, secret_key: str) -> None:
        self._address = urlsplit(url).netloc
        self._credentials = Credentials(access_key, secret_key)
        self._signer = Signer(region)

    def get_object(self, **given: Any) -> dict[str, Any]:
        return {"Body": io.BytesIO(self._ask("GET", given)[1])}

    def head_object(self, **given: Any) -> dict[str, Any]:
        headers, _ = self._ask("HEAD", given)
        metadata = {
            name.removeprefix("x-amz-meta-"): value
            for name, value in headers.items()
            if name.startswith("x-amz-meta-")
        }
        size = int(headers["content-length"])
        return {"ETag": headers["etag"], "ContentLength": size, "Metadata": metadata}

    def put_object(self, **given: Any) -> dict[str, Any]:
        metadata = given.get("Metadata", {}).items()
        headers = {f"x-amz-meta-{name}": value for name, value in metadata}
        return {"ETag": self._ask("PUT", given, headers=headers)[0]["etag"]}

    def delete_object(self, **given: Any) -> None:
        self._ask("DELETE", given)

    def create_multipart_upload(self, **given: Any) -> dict[str, Any]:
        _, body = self._ask("POST", given, uploads="")
        return {"UploadId": read_document(body).value("UploadId")}

    def upload_part(self, **given: Any) -> dict[str, Any]:
        query = {"partNumber": str(given["PartNumber"]), "uploadId": given["UploadId"]}
        return {"ETag": self._ask("PUT", given, **query)[0]["etag"]}

    def complete_multipart_upload(self, **given: Any) -> dict[str, Any]:
        parts = [(part["PartNumber"], part["ETag"]) for part in given["MultipartUpload"]["Parts"]]
        given["Body"] = parts_document(parts)
        _, body = self._ask("POST", given, uploadId=given["UploadId"])
        return {"ETag": read_document(body).value("ETag")}

    def abort_multipart_upload(self, **given: Any) -> None:
        self._ask("DELETE", given, uploadId=given["UploadId"])

    def list_multipart_uploads(self, **given: Any) -> dict[str, Any]:
        _, body = self._ask("GET", given, uploads="", prefix=given.get("Prefix", ""))
        found = read_document(body).all("Upload")
        return {"Uploads": [_texts(upload, "Key", "UploadId") for upload in found]}

    def get_paginator(self, operation: str) -> "PlainClient":
        assert operation == "list_objects_v2"
        return self

    def paginate(self, **given: Any) -> Iterator[dict[str, Any]]:
        query = {"list-type": "2", "prefix": given["Prefix"]}
        while True:
            page = read_document(self._ask("GET", given, **query)[1])
            yield {"Contents": [_texts(found, "Key", "ETag") for found in page.all("Contents")]}
            if page.value("IsTruncated") != "true":
                return
            query["continuation-token"] = page.value("NextContinuationToken") or ""

    def delete_bucket(self, **given: Any) -> None:
        self._ask("DELETE", given)

    def create_bucket(self, **given: Any) -> None:
        self._ask("PUT", given)

    def close(self) -> None:
        """Do nothing: no connection is kept."""

    def _ask(
        self,
        method: str,
        given: Mapping[str, Any],
        *,
        headers: Mapping[str, str] | None = None,
        **query: str,
    ) -> tuple[dict[str, str], bytes]:
        """Make a request; return the response's headers, in lower case, and its body."""
        path = quote_path(
            "/".join(["", given["Bucket"], *([given["Key"]] if "Key" in given else [])])
        )
        parameters, stamp = canonical_query(query.items()), self._signer.stamp(time.time())
        signed = {"host": self._address, "x-amz-date": stamp, **(headers or {})}
        signed["x-amz-content-sha256"] = UNSIGNED_PAYLOAD
        authorization = self._signer.authorization(
            self._credentials, method, path, parameters, signed, UNSIGNED_PAYLOAD, stamp
        )
        connection = http.client.HTTPConnection(self._address, timeout=60)
        try:
            connection.request(
                method,
                f"{path}?{parameters}",
                body=given.get("Body", b""),
                headers={**signed, "authorization": authorization},
            )
            response = connection.getresponse()
            content = response.read()
        finally:
            connection.close()
        if response.status >= http.HTTPStatus.MULTIPLE_CHOICES:
            raise ClientError(f"{response.status} {content[:300]!r}")
        return {name.lower(): value for name, value in response.headers.items()}, content


def _texts(element: Element, *names: str) -> dict[str, str]:
    return {name: element.value(name) or "" for name in names}


bucket_client = PlainClient
