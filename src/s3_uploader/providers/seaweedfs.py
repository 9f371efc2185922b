"""SeaweedFS. Measured: 4.48, which the tests start.

No host name identifies a SeaweedFS store: the provider is chosen by name. Its limits are Amazon
S3's: parts below 5 MiB are refused (measured), and part numbers above 10,000 (SeaweedFS's source,
MaxS3MultipartParts).
"""

from s3_uploader.providers.base import Capabilities, Provider

SEAWEEDFS = Provider(
    name="seaweedfs",
    title="SeaweedFS",
    # All measured.
    capabilities=Capabilities(
        crc64nvme=True,
        if_none_match=True,
        copy_object=True,
        unequal_parts=True,
        keeps_metadata=True,
        put_etag="md5",
        multipart_etag="composite",
    ),
)
