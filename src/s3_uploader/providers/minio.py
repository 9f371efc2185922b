"""MinIO. Documented: MinIO documentation, "Thresholds and Limits".

No host name identifies a MinIO store: the provider is chosen by name.
"""

from s3_uploader.keys import KeyRules
from s3_uploader.providers.base import Limits, Provider
from s3_uploader.sizes import TIB

MINIO = Provider(
    name="minio",
    title="MinIO",
    # The limits of parts are Amazon S3's, so 10,000 of the largest stay below 50 TiB.
    limits=Limits(max_put=5 * TIB, object_limit=50 * TIB),
    # Each name between "/" is a name in the underlying file system.
    keys=KeyRules(max_segment_bytes=255),
)
