"""The values that describe a kind of store: what it accepts, what suits it, what it can do.

The defaults are those of a store about which nothing is known (`generic`): Amazon S3's limits,
which most stores copy. A provider's file states only what differs, each with its source.
"""

from dataclasses import dataclass, field
from typing import Literal

from s3_uploader.keys import KeyRules
from s3_uploader.sizes import GIB, MIB

GB, TB = 1000**3, 1000**4
"""Units of the providers whose documentation counts in powers of 1,000."""

EtagKind = Literal["md5", "composite", "opaque"]
"""What an ETag is: the MD5 of the object; the MD5 of its parts' MD5s with "-" and their number; or
no digest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a store accepts. Sizes are bytes.

    The defaults are from the Amazon S3 User Guide, "Amazon S3 multipart upload limits" (parts) and
    "Uploading objects" (a single PUT).

    Attributes:
        min_part: smallest part, except for the last.
        max_part: largest part.
        max_parts: parts of one multipart upload.
        max_put: largest body of a single PutObject.
        object_limit: largest object, None where only the parts limit it.
    """

    min_part: int = 5 * MIB
    max_part: int = 5 * GIB
    max_parts: int = 10_000
    max_put: int = 5 * GIB
    object_limit: int | None = None

    @property
    def max_object(self) -> int:
        """Largest object that a multipart upload can build, in bytes."""
        of_parts = self.max_part * self.max_parts
        return of_parts if self.object_limit is None else min(of_parts, self.object_limit)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tuning:
    """The values that work well with a store, where no setting says otherwise.

    The default part size is boto3's (`TransferConfig`, multipart_chunksize); files of up to two
    parts are sent with one request. The requests in flight start where no store is overloaded, and
    follow goodput from there (`engine.pacing`).

    Attributes:
        multipart_threshold: files of more bytes than this are sent in parts.
        part_size: bytes of a part; grows where the part limit demands it.
        requests: requests in flight that are safe to start with.
        max_requests: most requests in flight.
    """

    multipart_threshold: int = 16 * MIB
    part_size: int = 8 * MIB
    requests: int = 16
    max_requests: int = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """What a store is known to do, or not to do; None, the default, where nothing is known.

    Only True may be relied on. Today `crc64nvme` decides something (`UploadConfig.decided`); the
    others were found out on the way, for what is to rely on them.

    Attributes:
        crc64nvme: verifies CRC-64/NVME of a body, and names in its response what it verified.
        if_none_match: refuses to replace an object by a PutObject or CompleteMultipartUpload with
            `If-None-Match: *`.
        copy_object: serves CopyObject.
        unequal_parts: accepts parts of different sizes in one upload, apart from the last.
        keeps_metadata: returns the user's metadata in the response to HEAD.
        put_etag: kind of ETag of an object that was sent with one request.
        multipart_etag: kind of ETag of an object that was sent in parts.
    """

    crc64nvme: bool | None = None
    if_none_match: bool | None = None
    copy_object: bool | None = None
    unequal_parts: bool | None = None
    keeps_metadata: bool | None = None
    put_etag: EtagKind | None = None
    multipart_etag: EtagKind | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Quirks:
    """How long to bear with wrong responses of a store, or of a proxy in front of it.

    The defaults were found with RunPod, the least reliable store met so far, and hold for every
    other store: a client cannot know what is in front of one.

    Attributes:
        absent_heads: HEADs that must deny an object before a verification reports it as missing.
        denial_pauses: seconds between the HEADs for an object that an interrupted upload may have
            published; a denial is believed after the last.
        mismatch_pauses: seconds between the HEADs for an object that is not what the response to
            its upload says.
        merge_seconds_per_gib: seconds for each GiB that a store gets to finish a
            CompleteMultipartUpload whose response was lost, before the request is repeated.
    """

    absent_heads: int = 3
    denial_pauses: tuple[float, ...] = (0.5, 1.0, 2.0, 4.0)
    mismatch_pauses: tuple[float, ...] = (0.1, 0.3, 1.0)
    merge_seconds_per_gib: float = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """A kind of store.

    Attributes:
        name: the provider's name in settings and events.
        title: the provider's name in messages.
        domains: domains of the endpoints' hosts; () where hosts do not identify the provider, as
            for a server that each user runs under their own host name.
        endpoint_template: URL of the endpoint, with "{region}" for the region in lower case; ""
            where the region alone does not determine the endpoint.
        datacenters: the known regions, in upper case; empty where any region is possible.
        mount: where the provider's machines mount the bucket's root as a folder, "" for nowhere.
        foreign_secret: prefix of the secret keys that the provider issues for another API and that
            S3 refuses; "" for none.
    """

    name: str
    title: str = "S3"
    domains: tuple[str, ...] = ()
    endpoint_template: str = ""
    datacenters: frozenset[str] = frozenset()
    mount: str = ""
    foreign_secret: str = ""
    limits: Limits = field(default_factory=Limits)
    tuning: Tuning = field(default_factory=Tuning)
    capabilities: Capabilities = field(default_factory=Capabilities)
    quirks: Quirks = field(default_factory=Quirks)
    keys: KeyRules = field(default_factory=KeyRules)

    def endpoint(self, region: str) -> str:
        """Return the URL of a region's endpoint, "" where the region alone determines none."""
        if not region and "{region}" in self.endpoint_template:
            return ""
        return self.endpoint_template.replace("{region}", region.lower())

    def knows(self, region: str) -> bool:
        """Return whether a region may be one of this provider's."""
        return not self.datacenters or region.upper() in self.datacenters

    def where_seen(self, key: str) -> str:
        """Return the path at which the provider's own machines see a key, "" for none."""
        return f"{self.mount}/{key}" if self.mount else ""
