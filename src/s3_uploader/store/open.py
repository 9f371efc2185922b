"""Choose and open the lane for a profile."""

import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from botocore.httpsession import get_cert_path
from botocore.utils import get_environ_proxies

from s3_uploader.config import UploadConfig
from s3_uploader.profile import Profile
from s3_uploader.store.base import ObjectStore
from s3_uploader.store.boto import BotoStore, open_client
from s3_uploader.store.wire import WireStore


@asynccontextmanager
async def open_store(profile: Profile, config: UploadConfig) -> AsyncGenerator[ObjectStore]:
    """Open the profile's bucket and close it at the end.

    The wire lane serves unless `config.lane` says otherwise, a proxy is configured for the
    endpoint, or the requests are not to be signed.

    Raises:
        ConfigError: a setting is outside what the store allows.
        StoreError: no usable credentials, or a bucket name no store can have.
    """
    async with open_client(profile, config) as (client, credentials):
        proxied = bool(get_environ_proxies(client.meta.endpoint_url))
        if config.lane == "boto" or proxied or credentials is None:
            yield BotoStore(client, profile, config)
            return
        wire = WireStore(client, credentials, profile, config, _ca_file(config))
        try:
            yield wire
        finally:
            await wire.close()


def _ca_file(config: UploadConfig) -> str:
    """Return the authorities that the aioboto3 client trusts: both lanes trust the same."""
    return config.ca_bundle or os.environ.get("AWS_CA_BUNDLE") or str(get_cert_path(verify=True))
