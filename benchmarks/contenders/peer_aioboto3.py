"""aioboto3's `upload_file` per file, a bounded number at a time."""

import asyncio
from collections.abc import Iterator
from typing import TYPE_CHECKING

import aioboto3
from aiobotocore.config import AioConfig
from benchmarks.contenders.job import Item, Job
from boto3.s3.transfer import TransferConfig

if TYPE_CHECKING:
    from types_aiobotocore_s3.client import S3Client

FILES = 16
TRANSFER = TransferConfig(multipart_chunksize=8 * 1024 * 1024, max_concurrency=10)


async def worker(client: "S3Client", bucket: str, items: Iterator[Item]) -> None:
    """Upload what the shared iterator still has."""
    for item in items:
        await client.upload_file(item.path, bucket, item.key, Config=TRANSFER)


async def main() -> None:
    """Upload; an exception is a failure."""
    job = Job.from_argv()
    session = aioboto3.Session()
    async with session.client(
        "s3",
        endpoint_url=job.endpoint,
        verify=job.ca_bundle,
        config=AioConfig(max_pool_connections=64, s3={"addressing_style": "path"}),
    ) as client:
        items = job.items()
        async with asyncio.TaskGroup() as tasks:
            for _ in range(FILES):
                tasks.create_task(worker(client, job.bucket, items))


if __name__ == "__main__":
    asyncio.run(main())
