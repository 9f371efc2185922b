"""Choose and open the lane for a profile."""

import ssl
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from importlib import import_module
from typing import TYPE_CHECKING, Any

import anyio

from s3_uploader import to_thread
from s3_uploader.config import UploadConfig
from s3_uploader.errors import ConfigError, StoreError
from s3_uploader.profile import Profile, check_endpoint
from s3_uploader.store.base import ObjectStore
from s3_uploader.store.errors import check_bucket
from s3_uploader.store.fallback import FallbackStore
from s3_uploader.store.proxy import check_proxy, proxy_for
from s3_uploader.store.sigv4 import Credentials
from s3_uploader.store.trust import tls_context
from s3_uploader.store.wire import SigningContext, WireStore

if TYPE_CHECKING:
    from s3_uploader.store.boto.store import BotoStore


@asynccontextmanager
async def open_store(
    profile: Profile,
    config: UploadConfig,
    *,
    reload: Callable[[], Profile] | None = None,
) -> AsyncGenerator[ObjectStore]:
    """Open the profile's bucket and close it at the end.

    The wire lane serves unless `config.lane` says otherwise, a proxy is configured for the
    endpoint (`store.proxy`), or the requests are not to be signed. aioboto3 is then imported at
    the first call that needs it: a directory of small files never does. `reload` re-reads the
    profile when its credentials have expired.

    Raises:
        ConfigError: a setting is outside what the store allows, the proxy is none for HTTP, or
            "config.needs_boto": only aioboto3 can serve, and it is not installed.
        StoreError: no usable credentials, or a bucket name no store can have.
    """
    check_bucket(profile.bucket)
    async with AsyncExitStack() as stack:
        lazy_boto = _LazyBotoStore(profile, config, stack)
        why = _proxied(profile.endpoint_url) or ("lane = boto" if config.lane == "boto" else "")
        if why:
            yield await lazy_boto(why)
            return
        signing = await _signing_context(profile, lazy_boto, reload or (lambda: profile))
        # An AWS profile's endpoint is known only now.
        if signing is None or _proxied(signing.endpoint):
            yield await lazy_boto(_left_to_aws(profile))
            return
        wire = WireStore(signing, await _context(signing, lazy_boto, config), config)
        stack.push_async_callback(wire.close)
        yield FallbackStore(wire, lazy_boto.in_a_call)


async def _context(
    signing: SigningContext, lazy_boto: "_LazyBotoStore", config: UploadConfig
) -> ssl.SSLContext | None:
    """Return what the wire lane trusts: what the boto lane does, where an AWS profile says it."""
    if not signing.endpoint.startswith("https:"):
        return None
    if lazy_boto.opened is not None:
        return lazy_boto.opened.tls
    return await to_thread.run_sync(tls_context, config)


class _LazyBotoStore:
    """Opens the boto lane once, at the first call; `opened` is None until then."""

    def __init__(self, profile: Profile, config: UploadConfig, stack: AsyncExitStack) -> None:
        self._profile = profile
        self._config = config
        self._stack = stack
        self._lock = anyio.Lock()
        self.opened: BotoStore | None = None

    async def __call__(self, why: str) -> "BotoStore":
        """Return the lane; `why` names, in any language, what only aioboto3 can serve."""
        async with self._lock:
            store: BotoStore | None = self.opened
            if store is None:
                # In a thread: importing aioboto3 takes longer than sending a small file.
                boto = await to_thread.run_sync(_boto_client, why)
                opening = boto.open_boto_store(self._profile, self._config)
                opened: BotoStore = await self._stack.enter_async_context(opening)
                # An AWS profile's own was not looked at before.
                check_endpoint(opened.endpoint, "endpoint_url (AWS)")
                self.opened = store = opened
        return store

    async def in_a_call(self, why: str) -> "BotoStore":
        """Return the lane; what does not let it open is the failure of the call, and of all."""
        try:
            return await self(why)
        except ConfigError as error:
            params: dict[str, Any] = {**error.params}
            raise StoreError(error.code, fatal=True, **params) from error


def _boto_client(why: str) -> Any:
    try:
        return import_module("s3_uploader.store.boto.client")
    except ImportError as error:
        raise ConfigError("config.needs_boto", why=why, detail=str(error)) from error


async def _signing_context(
    profile: Profile,
    lazy_boto: Callable[[str], Awaitable["BotoStore"]],
    reload: Callable[[], Profile],
) -> SigningContext | None:
    """Return who signs for what: from the profile where it says all, else from aioboto3."""
    if profile.access_key and profile.secret_key and profile.endpoint_url and profile.region:
        given = _StaticCredentials(_key_pair(profile), reload)
        return SigningContext(
            profile.bucket, profile.endpoint_url, profile.region, given.current, given.renew
        )
    store = await lazy_boto(_left_to_aws(profile))
    if store.credentials is None:
        return None
    from_aws = _AwsCredentials(profile, store.credentials)
    return SigningContext(
        profile.bucket, store.endpoint, store.region, from_aws.current, from_aws.renew
    )


class _StaticCredentials:
    """The profile's own key pair; once it has expired, what its file or environment holds then."""

    def __init__(self, pair: Credentials, reload: Callable[[], Profile]) -> None:
        self._key_pair = pair
        self._reload = reload

    async def current(self) -> Credentials:
        """Return what to sign with."""
        return self._key_pair

    async def renew(self, expired: Credentials) -> bool:
        """Read the profile again."""
        if self._key_pair == expired:
            with suppress(ConfigError):
                pair = _key_pair(await to_thread.run_sync(self._reload))
                if pair.access_key and pair.secret_key:
                    self._key_pair = pair
        return self._key_pair != expired


class _AwsCredentials:
    """What aioboto3 finds: refreshed by it in time, and searched for again once expired."""

    def __init__(self, profile: Profile, provider: Any) -> None:
        self._profile = profile
        self._provider = provider

    async def current(self) -> Credentials:
        """Return what to sign with."""
        return await self._frozen(self._provider)

    async def renew(self, expired: Credentials) -> bool:
        """Look for credentials as a new process would."""
        if await self.current() == expired:
            boto = await to_thread.run_sync(_boto_client, _left_to_aws(self._profile))
            provider = await boto.find_credentials(self._profile)
            if provider is None:
                return False
            self._provider = provider
        return await self.current() != expired

    async def _frozen(self, provider: Any) -> Credentials:
        frozen = await provider.get_frozen_credentials()
        return Credentials(frozen.access_key, frozen.secret_key, frozen.token or "")


def _key_pair(profile: Profile) -> Credentials:
    return Credentials(profile.access_key, profile.secret_key, profile.session_token)


def _left_to_aws(profile: Profile) -> str:
    """Return what a profile leaves to the AWS configuration, as messages name it."""
    fields = ("endpoint_url", "region", "access_key", "secret_key")
    blank = [name for name in fields if not getattr(profile, name)]
    return f"aws_profile = {profile.aws_profile}" if profile.aws_profile else f"{blank[0]} = ''"


def _proxied(endpoint_url: str) -> str:
    """Return the proxy of an endpoint, as messages name it; "" for none."""
    proxy = proxy_for(endpoint_url)
    if proxy is None:
        return ""
    check_proxy(proxy)
    return f"{proxy.variable} = {proxy.url}"
