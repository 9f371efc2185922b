"""AWS Signature Version 4 in request headers, with the day's signing key kept.

Pure: the clock is an argument. Source: AWS General Reference, "Signature Version 4 signing
process", and the S3 API reference, "Authenticating Requests (AWS Signature Version 4)".
"""

import hashlib
import hmac
import re
import time
from collections.abc import Iterable, Mapping
from typing import NamedTuple
from urllib.parse import quote

UNSIGNED_PAYLOAD = "UNSIGNED-PAYLOAD"
"""Payload hash of a request whose body is not signed; S3 and its peers allow it."""

_ALGORITHM = "AWS4-HMAC-SHA256"


class Credentials(NamedTuple):
    """A key pair, and the token of temporary ones ("" for none). Never shown."""

    access_key: str
    secret_key: str
    token: str = ""

    def __repr__(self) -> str:
        return "Credentials(…)"


def quote_path(path: str) -> str:
    """Return an object's path as S3 canonicalises it: encoded once, '/' kept."""
    return quote(path, safe="/-_.~")


def canonical_query(parameters: Iterable[tuple[str, str]]) -> str:
    """Return query parameters encoded and sorted."""
    pairs = sorted(
        (quote(name, safe="-_.~"), quote(value, safe="-_.~")) for name, value in parameters
    )
    return "&".join(f"{name}={value}" for name, value in pairs)


class Signer:
    """Signs requests of one region and service.

    Args:
        region: region the store expects, such as "us-ca-2".
        service: "s3" for every S3-compatible store.
    """

    def __init__(self, region: str, service: str = "s3") -> None:
        self._scope = f"{region}/{service}/aws4_request"
        self._region = region
        self._service = service
        self._keyed_for: tuple[str, str] = ("", "")
        self._day_key = hmac.new(b"", digestmod="sha256")
        self._stamp_of = -1
        self._stamp = ""

    def stamp(self, now: float) -> str:
        """Return the value of x-amz-date for `now`, seconds since the epoch."""
        second = int(now)
        if second != self._stamp_of:
            self._stamp_of = second
            self._stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(second))
        return self._stamp

    def authorization(
        self,
        credentials: Credentials,
        method: str,
        path: str,
        query: str,
        headers: Mapping[str, str],
        payload_hash: str,
        stamp: str,
    ) -> str:
        """Return the value of the Authorization header.

        Args:
            credentials: the key pair.
            method: HTTP method.
            path: path as sent, encoded (`quote_path`).
            query: query as sent, sorted and encoded (`canonical_query`), "" for none.
            headers: the headers to sign; names in lower case, values stripped. Must hold host.
            payload_hash: hex SHA-256 of the body, or `UNSIGNED_PAYLOAD`.
            stamp: the value of x-amz-date.
        """
        names = sorted(headers)
        signed = ";".join(names)
        lines = "".join([f"{name}:{headers[name]}\n" for name in names])
        if "  " in lines:
            # Canonical values have single spaces, whatever is sent.
            lines = re.sub(" {2,}", " ", lines)
        request = f"{method}\n{path}\n{query}\n{lines}\n{signed}\n{payload_hash}"
        day = stamp[:8]
        digest = hashlib.sha256(request.encode()).hexdigest()
        message = f"{_ALGORITHM}\n{stamp}\n{day}/{self._scope}\n{digest}"
        # A copy of a keyed HMAC, not hmac.digest: that lets go of the GIL for each 150 bytes, and
        # a busy reader thread then keeps it.
        keyed = self._keyed(credentials.secret_key, day).copy()
        keyed.update(message.encode())
        signature = keyed.hexdigest()
        return (
            f"{_ALGORITHM} Credential={credentials.access_key}/{day}/{self._scope}, "
            f"SignedHeaders={signed}, Signature={signature}"
        )

    def _keyed(self, secret: str, day: str) -> hmac.HMAC:
        """Return the HMAC keyed for a day, derived once for each day and secret."""
        if self._keyed_for != (secret, day):
            key = f"AWS4{secret}".encode()
            for step in (day, self._region, self._service, "aws4_request"):
                key = hmac.digest(key, step.encode(), "sha256")
            self._day_key = hmac.new(key, digestmod="sha256")
            self._keyed_for = (secret, day)
        return self._day_key
