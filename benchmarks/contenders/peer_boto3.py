"""boto3's classic transfer manager: one manager, its threads shared by all files."""

import boto3
from benchmarks.contenders.job import Job
from boto3.s3.transfer import TransferConfig, create_transfer_manager
from botocore.config import Config

THREADS = 10
"""boto3's default; more threads only fight for the interpreter."""


def main() -> None:
    """Upload; an exception is a failure."""
    job = Job.from_argv()
    client = boto3.client(
        "s3",
        endpoint_url=job.endpoint,
        verify=job.ca_bundle,
        config=Config(max_pool_connections=THREADS, s3={"addressing_style": "path"}),
    )
    config = TransferConfig(max_concurrency=THREADS, preferred_transfer_client="classic")
    with create_transfer_manager(client, config) as manager:
        futures = [manager.upload(item.path, job.bucket, item.key) for item in job.items()]
        for future in futures:
            future.result()


if __name__ == "__main__":
    main()
