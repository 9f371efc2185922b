"""Amazon S3. Documented: Amazon S3 User Guide and API Reference; not tried live.

Its limits are the defaults of `Limits`.
"""

from s3_uploader.providers.base import Capabilities, Provider

AMAZON = Provider(
    name="aws",
    title="Amazon S3",
    domains=("amazonaws.com", "amazonaws.com.cn"),
    # AWS General Reference, "Amazon Simple Storage Service endpoints and quotas"; those in
    # China end in .com.cn and have to be set.
    endpoint_template="https://s3.{region}.amazonaws.com/",
    capabilities=Capabilities(
        # "Checking object integrity in Amazon S3"; PutObject and CompleteMultipartUpload return
        # x-amz-checksum-crc64nvme.
        crc64nvme=True,
        # "How to prevent object overwrites with conditional writes".
        if_none_match=True,
        # "CopyObject".
        copy_object=True,
        # "Amazon S3 multipart upload limits": each part from 5 MiB to 5 GiB.
        unequal_parts=True,
        # "Working with object metadata".
        keeps_metadata=True,
        # "Object" of the API Reference: an MD5 except with SSE-C and SSE-KMS, which responses name.
        put_etag="md5",
        # The same: not an MD5 of the object. The composite is what S3 returns, undocumented.
        multipart_etag="composite",
    ),
)
