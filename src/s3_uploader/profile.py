"""Where to upload: the bucket, its endpoint and the credentials, from environment and files."""

import configparser
import os
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from s3_uploader.errors import ConfigError, Param
from s3_uploader.ini import ini_fault, read_ini

PROFILE_FILE = "~/.runpod_s3_config"
DEFAULT_PROFILE = "runpods3"

RUNPOD_DATACENTERS = frozenset(
    {
        *("EU-CZ-1", "EU-RO-1", "EUR-IS-1", "EUR-NO-1", "US-CA-2", "US-GA-2", "US-IL-1"),
        *("US-KS-2", "US-MD-1", "US-MO-1", "US-MO-2", "US-NC-1", "US-NC-2", "US-NE-1", "US-WA-1"),
    }
)
"""Datacenters with an S3 endpoint (RunPod documentation, 2026-08). The list grows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """A bucket and the credentials for it. The secrets never show in its repr.

    Attributes:
        name: the profile's name.
        endpoint_url: base URL of the store; "" lets the AWS profile or AWS itself decide.
        region: region to sign for; "" as above.
        bucket: bucket, on RunPod the volume id.
        access_key, secret_key, session_token: the key pair; "" takes the AWS profile's.
        aws_profile: AWS profile that supplies what is "" above.
        warnings: messages (code, params) about the profile that stop nothing.
        settings: raw `UploadConfig` values found in the profile's section.
        settings_origin: where they come from, for messages.

    Raises:
        ConfigError: credentials or region hold what cannot stand in a header, half of a key pair is
            missing, or `endpoint_url` is no URL of a store.
    """

    name: str
    endpoint_url: str
    region: str
    bucket: str
    access_key: str = field(default="", repr=False)
    secret_key: str = field(default="", repr=False)
    session_token: str = field(default="", repr=False)
    aws_profile: str = ""
    warnings: tuple[tuple[str, Mapping[str, Param]], ...] = ()
    settings: Mapping[str, str] = field(default_factory=dict, repr=False)
    settings_origin: str = ""

    def __post_init__(self) -> None:
        origin = self.settings_origin or self.name
        for name in ("access_key", "secret_key", "session_token", "region"):
            _check_header(name, getattr(self, name), origin)
        _check_pair(
            {name: getattr(self, name) for name in ("access_key", "secret_key", "session_token")},
            origin,
        )
        if self.endpoint_url:
            check_endpoint(self.endpoint_url, origin)

    @property
    def is_runpod(self) -> bool:
        """Whether the endpoint is RunPod's."""
        return (urlsplit(self.endpoint_url).hostname or "").endswith(".runpod.io")


@dataclass(frozen=True, slots=True)
class _Field:
    """A profile value: its key in the file and its variable in the environment."""

    key: str
    variable: str
    required: bool = True


_PRINTABLE = re.compile(r"[!-~]*")
_PAIR = ("aws_access_key_id", "aws_secret_access_key")
_TOKEN = "aws_session_token"  # noqa: S105  (the name of a field)
_SECRETS = frozenset({*_PAIR, _TOKEN})
_IN_HEADERS = _SECRETS | {"datacenter"}

_FIELDS = (
    _Field("aws_access_key_id", "RUNPOD_S3_ACCESS_KEY"),
    _Field("aws_secret_access_key", "RUNPOD_S3_SECRET_KEY"),
    _Field("aws_session_token", "RUNPOD_S3_SESSION_TOKEN", required=False),
    _Field("datacenter", "RUNPOD_DATACENTER"),
    _Field("volume_id", "RUNPOD_VOLUME_ID"),
    _Field("endpoint_url", "RUNPOD_S3_ENDPOINT_URL", required=False),
)


def _variable(key: str) -> str:
    return next(field.variable for field in _FIELDS if field.key == key)


def load_profile(
    name: str = DEFAULT_PROFILE,
    *,
    path: str | os.PathLike[str] | None = None,
    environ: Mapping[str, str] | None = None,
) -> Profile:
    """Read a profile: environment first, then `path`, then an AWS profile of that name.

    Each value of the environment beats the file's. A session token is used only with a key pair
    that comes from the same place as the token.

    Args:
        name: section of the file; default "runpods3".
        path: INI file; default `~/.runpod_s3_config`.
        environ: environment; default the process's.

    Raises:
        ConfigError: nothing found, malformed, or a value is missing, blank or not allowed.
    """
    environ = os.environ if environ is None else environ
    # os.path's leaves the ~ of a user without a home directory; pathlib's raises.
    file = Path(path if path is not None else os.path.expanduser(PROFILE_FILE))
    given = {field.key: environ.get(field.variable, "").strip() for field in _FIELDS}
    section, warnings = _read_section(file, name, needed=not _complete(given))
    if section is None and not _complete(given):
        return _aws_profile(name, file, given, environ)
    section = {key: value.strip() for key, value in (section or {}).items()}
    values = {field.key: given[field.key] or section.get(field.key, "") for field in _FIELDS}
    section_origin = f"[{name}] of {file}"
    for item in _FIELDS:
        has_endpoint = item.key == "datacenter" and values["endpoint_url"]
        if item.required and not values[item.key] and not has_endpoint:
            raise ConfigError(
                "config.missing_key",
                field=item.key,
                variable=item.variable,
                profile=name,
                path=str(file),
            )
        origin = item.variable if given[item.key] else section_origin
        if item.key == "endpoint_url" and values[item.key]:
            check_endpoint(values[item.key], origin)
        elif item.key in _IN_HEADERS:
            _check_header(item.key, values[item.key], origin)
    values[_TOKEN], unused = _session_token(given, section, section_origin)
    return _profile(name, section_origin, values, section, [*warnings, *unused])


def _session_token(
    given: Mapping[str, str], section: Mapping[str, str], origin: str
) -> tuple[str, list[tuple[str, Mapping[str, Param]]]]:
    """Return the token of the key pair in use, and warnings of tokens that belong to no such pair.

    A pair with a half of each place is no temporary one.
    """
    from_environment = [bool(given[key]) for key in _PAIR]
    lone: list[str] = []
    if given[_TOKEN] and not all(from_environment):
        lone.append(_variable(_TOKEN))
    if section.get(_TOKEN) and any(from_environment) and not all(from_environment):
        lone.append(f"{_TOKEN} ({origin})")
    warnings: list[tuple[str, Mapping[str, Param]]] = [
        ("config.lone_token", {"token": token}) for token in lone
    ]
    if all(from_environment):
        return given[_TOKEN], warnings
    return "" if any(from_environment) else section.get(_TOKEN, ""), warnings


def _complete(values: Mapping[str, str]) -> bool:
    required = ("aws_access_key_id", "aws_secret_access_key", "volume_id")
    return all(values[key] for key in required) and bool(
        values["datacenter"] or values["endpoint_url"]
    )


def _profile(
    name: str,
    origin: str,
    values: Mapping[str, str],
    section: Mapping[str, str],
    warnings: list[tuple[str, Mapping[str, Param]]],
) -> Profile:
    datacenter = values["datacenter"]
    endpoint = values["endpoint_url"]
    if not endpoint:
        endpoint = f"https://s3api-{datacenter.lower()}.runpod.io/"
        if datacenter.upper() not in RUNPOD_DATACENTERS:
            warnings.append(("config.unknown_datacenter", {"datacenter": datacenter}))
    return Profile(
        name=name,
        endpoint_url=endpoint,
        region=datacenter.lower() or section.get("region") or "us-east-1",
        bucket=values["volume_id"],
        access_key=values["aws_access_key_id"],
        secret_key=values["aws_secret_access_key"],
        session_token=values[_TOKEN],
        warnings=tuple(warnings),
        settings={key: value for key, value in section.items() if key not in _SECRETS},
        settings_origin=origin,
    )


def check_endpoint(url: str, origin: str) -> None:
    """Raise ConfigError unless `url` is a store's: http or https, a host, perhaps a port and path.

    One with a user name or password is refused without being shown: endpoints stand in logs.
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
    # It stands in headers too.
    if not valid or not _PRINTABLE.fullmatch(url):
        raise ConfigError("config.bad_endpoint", value=url, origin=origin)


def _check_header(name: str, value: str, origin: str) -> None:
    """Raise ConfigError, which does not show the value, unless it can stand in a header."""
    # Anything else would fail far from its cause.
    if not _PRINTABLE.fullmatch(value):
        raise ConfigError(
            "config.bad_value",
            field=name,
            value="…",
            origin=origin,
            allowed="printable ASCII characters without spaces",
        )


def _check_pair(named: Mapping[str, str], origin: str) -> None:
    """Raise ConfigError if one of the first two values, a key pair, is given without the other."""
    missing = [name for name in list(named)[:2] if not named[name]]
    if missing and any(named.values()):
        first = next(name for name, value in named.items() if value)
        raise ConfigError("config.half_pair", given=first, missing=missing[0], origin=origin)


def _read_section(
    file: Path, name: str, *, needed: bool
) -> tuple[Mapping[str, str] | None, list[tuple[str, Mapping[str, Param]]]]:
    """Return the profile's section, or None; a file the environment replaces need not be valid."""
    try:
        parser, mode = read_ini(file)
    except FileNotFoundError:
        return None, []
    except OSError as error:
        if not needed:
            return None, []
        raise _unreadable(file, error) from error
    except (configparser.Error, UnicodeDecodeError) as error:
        if not needed:
            return None, []
        reason = ini_fault(error)
        raise ConfigError("config.malformed", path=str(file), reason=reason, profile=name) from None
    section = dict(parser[name]) if parser.has_section(name) else None
    warnings: list[tuple[str, Mapping[str, Param]]] = []
    if section is not None and mode & (stat.S_IRWXG | stat.S_IRWXO):
        warnings.append(("config.readable_by_others", {"path": str(file)}))
    return section, warnings


def _unreadable(file: Path, error: OSError) -> ConfigError:
    return ConfigError("config.unreadable", path=str(file), reason=error.strerror or "error")


def _aws_profile(
    name: str, file: Path, given: Mapping[str, str], environ: Mapping[str, str]
) -> Profile:
    """Look the profile up among AWS's own, whose values the AWS libraries read themselves."""
    known = _aws_sections(environ, "AWS_SHARED_CREDENTIALS_FILE", "~/.aws/credentials") | {
        section.removeprefix("profile ")
        for section in _aws_sections(environ, "AWS_CONFIG_FILE", "~/.aws/config")
    }
    if name not in known:
        if not file.exists():
            raise ConfigError("config.no_profile_file", path=str(file), profile=name)
        names = ", ".join(sorted(read_ini(file)[0].sections())) or "-"
        raise ConfigError("config.unknown_profile", profile=name, path=str(file), known=names)
    if not given["volume_id"]:
        raise ConfigError("config.aws_no_bucket", profile=name)
    if given["endpoint_url"]:
        check_endpoint(given["endpoint_url"], "RUNPOD_S3_ENDPOINT_URL")
    _check_pair({_variable(key): given[key] for key in _PAIR}, name)
    token, warnings = _session_token(given, {}, "")
    return Profile(
        name=name,
        endpoint_url=given["endpoint_url"],
        region=given["datacenter"].lower(),
        bucket=given["volume_id"],
        access_key=given["aws_access_key_id"],
        secret_key=given["aws_secret_access_key"],
        session_token=token,
        aws_profile=name,
        warnings=tuple(warnings),
    )


def _aws_sections(environ: Mapping[str, str], variable: str, default: str) -> set[str]:
    """Return the sections of one of AWS's files, as botocore finds it."""
    file = Path(os.path.expanduser(os.path.expandvars(environ.get(variable) or default)))
    try:
        return set(read_ini(file)[0].sections())
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
        return set()
    except OSError as error:
        raise _unreadable(file, error) from error
    except (configparser.Error, UnicodeDecodeError) as error:
        raise ConfigError("config.aws_malformed", path=str(file), reason=ini_fault(error)) from None
