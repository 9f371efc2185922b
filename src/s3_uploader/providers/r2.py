"""Cloudflare R2. Documented: Cloudflare R2 documentation; not tried live."""

from s3_uploader.providers.base import Capabilities, Limits, Provider
from s3_uploader.sizes import GIB, MIB, TIB

R2 = Provider(
    name="r2",
    title="Cloudflare R2",
    # Also for the jurisdictions: <account>.eu.r2.cloudflarestorage.com.
    domains=("r2.cloudflarestorage.com",),
    # "Limits": 4.995 GiB for a part or PUT (5 MiB less than 5 GiB), 4.995 TiB for an object (5 GiB
    # less than 5 TiB).
    limits=Limits(
        max_part=5 * GIB - 5 * MIB, max_put=5 * GIB - 5 * MIB, object_limit=5 * TIB - 5 * GIB
    ),
    capabilities=Capabilities(
        # CRC-64/NVME: "S3 API compatibility" lists it, without saying that responses name it.
        # "Conditional operations".
        if_none_match=True,
        # "S3 API compatibility".
        copy_object=True,
        # "Multipart upload": all but the last are equal, and the last is not larger.
        unequal_parts=False,
        # "Multipart upload", "ETags".
        put_etag="md5",
        multipart_etag="composite",
    ),
)
