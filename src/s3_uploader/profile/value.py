"""A profile, and which values are allowed in it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from s3_uploader.errors import ConfigError, Param

Warnings = tuple[tuple[str, Mapping[str, Param]], ...]
"""Non-fatal messages (code, params)."""

_PRINTABLE = re.compile(r"[!-~]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """A bucket and the credentials for it. The secrets never show in its repr.

    Attributes:
        name: the profile's name.
        endpoint_url: base URL of the store; "" lets the AWS profile or AWS itself decide.
        region: region to sign for; "" as above.
        bucket: bucket, on RunPod the volume id.
        access_key, secret_key, session_token: the key pair; "" uses the AWS profile's.
        aws_profile: AWS profile that supplies what is "" above.
        warnings: non-fatal messages (code, params) about the profile.
        settings: raw `UploadConfig` values found in the profile's section.
        settings_origin: where the settings come from, for messages.

    Raises:
        ConfigError: a credential or the region cannot be sent in a header, half of a key pair is
            missing, or `endpoint_url` is not the URL of a store.
    """

    name: str
    endpoint_url: str
    region: str
    bucket: str
    access_key: str = field(default="", repr=False)
    secret_key: str = field(default="", repr=False)
    session_token: str = field(default="", repr=False)
    aws_profile: str = ""
    warnings: Warnings = ()
    settings: Mapping[str, str] = field(default_factory=dict, repr=False)
    settings_origin: str = ""

    def __post_init__(self) -> None:
        origin = self.settings_origin or self.name
        for name in ("access_key", "secret_key", "session_token", "region"):
            check_header(name, getattr(self, name), origin)
        check_pair(
            {name: getattr(self, name) for name in ("access_key", "secret_key", "session_token")},
            origin,
        )
        if self.endpoint_url:
            check_endpoint(self.endpoint_url, origin)


def check_endpoint(url: str, origin: str) -> None:
    """Raise ConfigError unless `url` is a store's: http or https, a host, perhaps a port and path.

    A URL with a user name or password is refused without being shown: endpoints appear in logs.
    """
    if "@" in url:
        raise ConfigError("config.endpoint_userinfo", origin=origin)
    try:
        parts = urlsplit(url)
        valid = parts.scheme in {"http", "https"} and bool(parts.hostname)
        valid = valid and (parts.port is None or parts.port > 0)
        valid = valid and not parts.query and not parts.fragment
    except ValueError:
        valid = False
    # The URL is sent in headers too.
    if not valid or not _PRINTABLE.fullmatch(url):
        raise ConfigError("config.bad_endpoint", value=url, origin=origin)


def check_header(name: str, value: str, origin: str) -> None:
    """Raise ConfigError, which does not show `value`, unless `value` can be sent in a header."""
    # Anything else would fail far from its cause.
    if not _PRINTABLE.fullmatch(value):
        raise ConfigError(
            "config.bad_value",
            field=name,
            value="…",
            origin=origin,
            allowed="printable ASCII characters without spaces",
        )


def check_pair(named: Mapping[str, str], origin: str) -> None:
    """Raise ConfigError if a value is set, but half of the key pair (the first two) is not."""
    missing = [name for name in list(named)[:2] if not named[name]]
    if missing and any(named.values()):
        first = next(name for name, value in named.items() if value)
        raise ConfigError("config.half_pair", given=first, missing=missing[0], origin=origin)
