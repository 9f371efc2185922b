"""Ceph Object Gateway. Documented: "Ceph Object Gateway Config Reference"; measured: 16.2.

No host tells it: it is chosen by name. Its limits are the defaults of rgw_multipart_min_part_size,
rgw_multipart_part_upload_limit and rgw_max_put_size, which bounds parts too: Amazon S3's.
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
