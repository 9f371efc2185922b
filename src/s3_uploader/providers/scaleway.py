"""Scaleway Object Storage. Documented: Scaleway Object Storage documentation; not tried live."""

from s3_uploader.providers.base import GB, TB, Capabilities, Limits, Provider

SCALEWAY = Provider(
    name="scaleway",
    title="Scaleway",
    domains=("scw.cloud",),
    endpoint_template="https://s3.{region}.scw.cloud/",
    # "Managing multipart uploads": 1 to 1000 parts of 5 MB to 5 GB, objects of up to 5 TB. The
    # minimum is taken as 5 MiB, which both readings of "MB" allow.
    limits=Limits(max_part=5 * GB, max_parts=1_000, object_limit=5 * TB),
    capabilities=Capabilities(
        # CRC-64/NVME: "Supported checksums" lists it, without saying that responses name it.
        # "Using conditional writes", which names creating and copying.
        if_none_match=True,
        copy_object=True,
        # "Managing multipart uploads".
        unequal_parts=True,
    ),
)
