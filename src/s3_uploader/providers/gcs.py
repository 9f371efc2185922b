"""Google Cloud Storage, through its XML API. Documented: Cloud Storage documentation."""

from s3_uploader.providers.base import Capabilities, Limits, Provider
from s3_uploader.sizes import TIB

GCS = Provider(
    name="gcs",
    title="Google Cloud Storage",
    domains=("storage.googleapis.com",),
    # "Cloud Storage request endpoints".
    endpoint_template="https://storage.googleapis.com/",
    # "Quotas & limits": objects, and single uploads, of up to 5 TiB; parts as Amazon S3's.
    limits=Limits(max_put=5 * TIB, object_limit=5 * TIB),
    capabilities=Capabilities(
        # "XML API multipart uploads": such objects have no MD5.
        multipart_etag="opaque",
    ),
)
