"""MinIO. Documented: MinIO documentation, "Thresholds and Limits".

No host tells it: it is chosen by name.
"""

from s3_uploader.keys import KeyRules
from s3_uploader.providers.base import Limits, Provider
from s3_uploader.sizes import TIB

MINIO = Provider(
    name="minio",
    title="MinIO",
    # Parts are limited as Amazon S3's, so that 10,000 of them end below 50 TiB.
    limits=Limits(max_put=5 * TIB, object_limit=50 * TIB),
    # Each name between "/" is one of the file system below.
    keys=KeyRules(max_segment_bytes=255),
)
