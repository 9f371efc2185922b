"""Open the aioboto3 client: session, credentials, TLS, and what it is not to do by itself."""

import ssl
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, cast

import aioboto3
from aiobotocore.config import AioConfig
from aiobotocore.session import AioSession
from botocore.handlers import add_expect_header

from s3_uploader import to_thread
from s3_uploader.config import UploadConfig
from s3_uploader.profile import Profile
from s3_uploader.store.boto.errors import RESPONSE, translated
from s3_uploader.store.boto.store import BotoStore
from s3_uploader.store.boto.transport import Transport
from s3_uploader.store.errors import Request, check_bucket
from s3_uploader.store.response import Response
from s3_uploader.store.results import SUCCESS
from s3_uploader.store.trust import tls_context
from s3_uploader.version import __version__


@asynccontextmanager
async def open_boto_store(profile: Profile, config: UploadConfig) -> AsyncGenerator["BotoStore"]:
    """Open a client for the profile's bucket and close it at the end.

    Raises:
        ConfigError: a setting is outside what the store allows, or a CA bundle cannot be used.
        StoreError: "store.no_credentials" if an AWS profile gives none, "store.bad_bucket".
    """
    check_bucket(profile.bucket)
    with translated(Request("connect", "", profile.bucket, profile.endpoint_url)):
        below = _botocore_session(profile)
        session = _session(profile, below)
        credentials: Any = await cast("Any", session.get_credentials())
        context = await to_thread.run_sync(_tls_context, below, profile, config)
        opening = session.client(
            "s3",
            endpoint_url=profile.endpoint_url or None,
            config=_client_config(profile, config, partial(Transport, context=context)),
        )
        client = await opening.__aenter__()
    try:
        # Bodies with a read() would be sent with `Expect: 100-continue`; with an empty body it
        # stalls a pooled connection for 60 s.
        client.meta.events.unregister("before-call.s3", add_expect_header)
        client.meta.events.register("before-parse.s3", _keep_response)
        yield BotoStore(client, profile, config, credentials, context)
    finally:
        await opening.__aexit__(None, None, None)


async def find_credentials(profile: Profile) -> Any:
    """Look for the credentials of a profile as a new process would; None if there are none.

    Raises:
        StoreError: "store.no_credentials" if a source of them fails.
    """
    with translated(Request("connect", "", profile.bucket, profile.endpoint_url)):
        return await cast("Any", _session(profile, _botocore_session(profile)).get_credentials())


def _botocore_session(profile: Profile) -> AioSession:
    """Return a session of the AWS profile, or of none: AWS_PROFILE must not reach ours."""
    # Name in the config file, variable, default, conversion: no variable.
    variable = (None, None, profile.aws_profile or None, None)
    return AioSession(session_vars={"profile": variable})


def _session(profile: Profile, below: AioSession) -> aioboto3.Session:
    return aioboto3.Session(
        botocore_session=below,
        aws_access_key_id=profile.access_key or None,
        aws_secret_access_key=profile.secret_key or None,
        aws_session_token=profile.session_token or None,
        region_name=profile.region or None,
    )


def _tls_context(session: Any, profile: Profile, config: UploadConfig) -> ssl.SSLContext:
    # The ca_bundle of an AWS profile belongs to it as its keys do.
    scoped = session.get_scoped_config() if profile.aws_profile else {}
    return tls_context(config, aws_config=scoped.get("ca_bundle", ""))


def _client_config(profile: Profile, config: UploadConfig, transport: Any) -> Any:
    tuning = config.provider_at(profile.endpoint_url).tuning
    return AioConfig(
        http_session_cls=transport,
        user_agent_extra=f"s3up/{__version__}",
        signature_version="s3v4",
        s3={
            "addressing_style": "path" if profile.endpoint_url else "auto",
            # Signing a payload takes a pass over it before the one that sends it, and most
            # stores do not compare; the ETag is the proof.
            "payload_signing_enabled": False,
        },
        # One retry policy, ours: two loops multiply.
        retries={"total_max_attempts": 1, "mode": "standard"},
        # Many stores refuse the default checksum headers, or store their trailers as content.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        connect_timeout=config.connect_timeout,
        read_timeout=config.response_timeout,
        max_pool_connections=tuning.max_requests + 4,
        tcp_keepalive=True,
    )


def _keep_response(
    response_dict: dict[str, Any], customized_response_dict: dict[str, Any], **_: Any
) -> None:
    """Hand the response on as it came, and leave botocore nothing to fail on in a success."""
    body, status = response_dict["body"], response_dict["status_code"]
    in_memory = isinstance(body, bytes)
    headers = {
        name.encode("latin-1"): value.encode("latin-1")
        for name, value in response_dict["headers"].items()
    }
    customized_response_dict[RESPONSE] = Response(status, headers, body if in_memory else b"")
    if status in SUCCESS:
        # Errors it has to read itself: so it learns of another region.
        response_dict["headers"] = {}
        response_dict["body"] = b"" if in_memory else body
