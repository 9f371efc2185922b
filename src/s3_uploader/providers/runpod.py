"""RunPod network volumes. Documented: RunPod documentation, "S3-compatible API" (2026-08).

"Seen" marks what users have reported and the documentation does not say. Nothing was tried against
a live endpoint, so each limit is a setting too.
"""

from s3_uploader.keys import KeyRules
from s3_uploader.providers.base import Capabilities, Limits, Provider, Quirks, Tuning
from s3_uploader.sizes import MIB

RUNPOD = Provider(
    name="runpod",
    title="RunPod",
    domains=("runpod.io",),
    endpoint_template="https://s3api-{region}.runpod.io/",
    # "Datacenter availability". The list grows: an unknown datacenter is a warning, not an error.
    datacenters=frozenset(
        {
            *("EU-CZ-1", "EU-RO-1", "EUR-IS-1", "EUR-NO-1", "US-CA-2", "US-GA-2", "US-IL-1"),
            *("US-KS-2", "US-MD-1", "US-MO-1", "US-MO-2", "US-NC-1", "US-NC-2", "US-NE-1"),
            "US-WA-1",
        }
    ),
    # "Network volume path mapping": a pod mounts the volume's root here.
    mount="/workspace",
    # Secrets of S3 API keys begin with rps_; the REST API's keys lead to SignatureDoesNotMatch.
    foreign_secret="rpa_",  # noqa: S106  (how such keys begin)
    limits=Limits(
        # "Multipart uploads": the 5 MB of Amazon S3 are not enforced.
        min_part=1,
        # Documented: 500 MB. Seen: a proxy in front of the volumes responds with 413 to 200 and
        # 256 MB; 64 and 95 MiB work.
        max_part=95 * MIB,
        max_put=95 * MIB,
        # Undocumented. Seen: 4,572 parts work, about 7,000 fail at CompleteMultipartUpload.
        max_parts=4_500,
    ),
    # Seen: parts of 50 to 64 MiB and 4 in flight work well, 8 were tried and rolled back.
    tuning=Tuning(multipart_threshold=64 * MIB, part_size=64 * MIB, requests=4, max_requests=8),
    capabilities=Capabilities(
        # "Core operations".
        copy_object=True,
        # Seen: HEAD returns no metadata.
        keeps_metadata=False,
        # "ListObjects runs slowly": the ETag is the MD5. Seen: with parts it is the composite.
        put_etag="md5",
        multipart_etag="composite",
    ),
    quirks=Quirks(
        # Seen: HEAD denies existing objects with 403 or 404 for longer than 3 tries of 1 s; 6 tries
        # up to 16 s were enough. A verification makes do with fewer: each file that is really
        # missing would cost them.
        denial_pauses=(0.5, 1.0, 2.0, 4.0, 8.0),
        # Seen: the proxy responds with 524 after 100 s, and 38 GB were merged behind it in 7.5
        # minutes. Most merges are faster, and until then only HEAD is sent.
        merge_seconds_per_gib=2.0,
    ),
    # "Object names": keys are paths on the volume, whose names Linux limits (limits.h, NAME_MAX).
    keys=KeyRules(max_segment_bytes=255),
)
