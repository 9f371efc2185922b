"""Backblaze B2. Documented: Backblaze B2 documentation; not tried live."""

from s3_uploader.providers.base import GB, TB, Capabilities, Limits, Provider

B2 = Provider(
    name="b2",
    title="Backblaze B2",
    domains=("backblazeb2.com",),
    # "S3-Compatible API": https://s3.<region>.backblazeb2.com.
    endpoint_template="https://s3.{region}.backblazeb2.com/",
    # "Large Files": parts of 5 MB to 5 GB, 10,000 of them, files of up to 10 TB.
    limits=Limits(min_part=5_000_000, max_part=5 * GB, max_put=5 * GB, object_limit=10 * TB),
    capabilities=Capabilities(
        # "S3 Copy Object".
        copy_object=True,
        # "Create Large Files with the Native API"; "S3 Upload Part" excepts Live Read.
        unequal_parts=True,
    ),
)
