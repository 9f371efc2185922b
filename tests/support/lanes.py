"""Every implementation of ObjectStore, by name: add a lane here and the suites run over it."""

import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace

from rclone_server import RcloneServer
from s3_uploader import Profile, UploadConfig
from s3_uploader.store import ObjectStore
from s3_uploader.store.open import open_store
from s3_uploader.testing import LocalS3Server, MemoryStore

REAL_LANES = ("boto-http", "boto-https", "wire-http", "wire-https")
"""Over SeaweedFS, which every test may use."""

RCLONE_LANES = ("boto-rclone", "wire-rclone")
"""Over `rclone serve s3`, for the contract suite."""

SERVER_LANES = (*REAL_LANES, *RCLONE_LANES)
LANES = ("memory", *SERVER_LANES)

Server = LocalS3Server | RcloneServer


def lane_profile(name: str, server: Server) -> Profile:
    """Return the server's profile with the endpoint that the lane's name asks for."""
    url = server.https_url if name.endswith("https") else server.http_url
    return replace(server.profile(), endpoint_url=url)


@asynccontextmanager
async def open_lane(
    name: str,
    server: Server,
    *,
    profile: Profile | None = None,
    config: UploadConfig | None = None,
) -> AsyncGenerator[ObjectStore]:
    """Open the store of a lane; `profile` and `config` change what the server's own would be."""
    if name == "memory":
        yield MemoryStore()
        return
    config = config or UploadConfig(ca_bundle=server.ca_bundle or None)
    config = replace(config, lane="boto" if name.startswith("boto") else "auto")
    async with open_store(profile or lane_profile(name, server), config) as store:
        yield store


def open_sockets() -> set[str]:
    """Return the open sockets of this process, as the system names them."""
    names = set()
    for descriptor in os.listdir("/proc/self/fd"):
        with suppress(OSError):
            names.add(os.readlink(f"/proc/self/fd/{descriptor}"))
    return {name for name in names if name.startswith("socket:")}
