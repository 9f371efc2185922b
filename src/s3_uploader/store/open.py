"""Choose and open the lane for a profile."""

import os
import ssl
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import anyio
from anyio import to_thread

from s3_uploader.config import UploadConfig
from s3_uploader.profile import Profile
from s3_uploader.store.answers import check_bucket
from s3_uploader.store.base import ObjectStore
from s3_uploader.store.sigv4 import Credentials
from s3_uploader.store.wire import Identity, WireStore

if TYPE_CHECKING:
    from s3_uploader.store.boto import BotoStore


@asynccontextmanager
async def open_store(
    profile: Profile,
    config: UploadConfig,
    *,
    connected: Callable[[float], None] = lambda _seconds: None,
) -> AsyncGenerator[ObjectStore]:
    """Open the profile's bucket and close it at the end.

    The wire lane serves unless `config.lane` says otherwise, a proxy is configured for the
    endpoint, or the requests are not to be signed. aioboto3 is then imported at the first call
    that needs it: a directory of small files never does. `connected` is told the seconds that each
    connection for a small body took to open, in the wire lane.

    Raises:
        ConfigError: a setting is outside what the store allows.
        StoreError: no usable credentials, or a bucket name no store can have.
    """
    check_bucket(profile.bucket)
    async with AsyncExitStack() as stack:
        control = _Control(profile, config, stack)
        if config.lane == "boto" or _proxied(profile.endpoint_url):
            yield await control()
            return
        identity = await _identity(profile, control)
        if identity is None:
            yield await control()
            return
        context = None
        if identity.endpoint.startswith("https:"):
            context = await to_thread.run_sync(_tls_context, config)
        wire = WireStore(identity, context, config, control, connected)
        stack.push_async_callback(wire.close)
        yield wire


class _Control:
    """Opens the boto lane once, at the first call."""

    def __init__(self, profile: Profile, config: UploadConfig, stack: AsyncExitStack) -> None:
        self._profile = profile
        self._config = config
        self._stack = stack
        self._lock = anyio.Lock()
        self._store: BotoStore | None = None

    async def __call__(self) -> "BotoStore":
        async with self._lock:
            store: BotoStore | None = self._store
            if store is None:
                # In a thread: importing aioboto3 takes longer than sending a small file.
                boto = await to_thread.run_sync(import_module, "s3_uploader.store.boto")
                opening = boto.open_boto_store(self._profile, self._config)
                opened: BotoStore = await self._stack.enter_async_context(opening)
                self._store = store = opened
        return store


async def _identity(
    profile: Profile, control: Callable[[], Awaitable["BotoStore"]]
) -> Identity | None:
    """Return who signs for what: from the profile where it says all, else from aioboto3."""
    if profile.access_key and profile.secret_key and profile.endpoint_url and profile.region:
        pair = Credentials(profile.access_key, profile.secret_key, profile.session_token)

        async def given() -> Credentials:
            return pair

        return Identity(profile.bucket, profile.endpoint_url, profile.region, given)
    store = await control()
    provider = store.credentials
    if provider is None:
        return None

    async def current() -> Credentials:
        frozen = await provider.get_frozen_credentials()
        return Credentials(frozen.access_key, frozen.secret_key, frozen.token or "")

    return Identity(profile.bucket, store.endpoint, store.region, current)


def _proxied(endpoint_url: str) -> bool:
    if not any(name.lower().endswith("_proxy") for name in os.environ):
        return False
    requests = import_module("urllib.request")
    parts = urlsplit(endpoint_url or "https://s3.amazonaws.com")
    return parts.scheme in requests.getproxies() and not requests.proxy_bypass(parts.netloc)


def _tls_context(config: UploadConfig) -> ssl.SSLContext:
    """Trust what the aioboto3 client trusts: the setting, AWS_CA_BUNDLE, certifi, botocore's."""
    bundle = config.ca_bundle or os.environ.get("AWS_CA_BUNDLE") or _packaged_bundle()
    context = ssl.create_default_context(cafile=bundle)
    context.set_alpn_protocols(["http/1.1"])
    return context


def _packaged_bundle() -> str:
    # Found without importing either, which would cost more than the handshake.
    for package, name in (("certifi", "cacert.pem"), ("botocore", "cacert.pem")):
        spec = find_spec(package)
        if spec is not None and spec.origin is not None:
            return str(Path(spec.origin).with_name(name))
    raise AssertionError("unreachable: aioboto3 depends on botocore")
