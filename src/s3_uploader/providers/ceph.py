"""Ceph Object Gateway. Documented: "Ceph Object Gateway Config Reference"; measured: 16.2.

No host name identifies a Ceph store: the provider is chosen by name. Its limits are Amazon S3's:
the defaults of rgw_multipart_min_part_size, rgw_multipart_part_upload_limit and rgw_max_put_size,
which bounds parts too.
"""

from s3_uploader.providers.base import Capabilities, Provider

CEPH = Provider(
    name="ceph",
    title="Ceph",
    # All measured.
    capabilities=Capabilities(
        crc64nvme=False, keeps_metadata=True, put_etag="md5", multipart_etag="composite"
    ),
)
