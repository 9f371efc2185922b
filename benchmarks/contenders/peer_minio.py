"""minio-py: `fput_object` per file from a few threads."""

from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import urllib3
from benchmarks.contenders.job import Job
from minio import Minio

THREADS = 8
PARTS = 3
"""minio-py's default number of parts in flight; its default parts of 5 MiB cost least CPU here."""


def make_client(job: Job) -> Minio:
    """Return a client; its pool only differs from minio's own by size and authority."""
    return Minio(
        urlsplit(job.endpoint).netloc,
        access_key=job.access_key,
        secret_key=job.secret_key,
        region=job.region,
        secure=job.ca_bundle is not None,
        http_client=urllib3.PoolManager(
            maxsize=THREADS * PARTS, cert_reqs="CERT_REQUIRED", ca_certs=job.ca_bundle
        ),
    )


def main() -> None:
    """Upload; an exception is a failure."""
    job = Job.from_argv()
    client = make_client(job)
    with ThreadPoolExecutor(THREADS) as pool:
        futures = [
            pool.submit(client.fput_object, job.bucket, item.key, item.path) for item in job.items()
        ]
        for future in futures:
            future.result()


if __name__ == "__main__":
    main()
