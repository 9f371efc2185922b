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
        ConfigError: credentials or region hold what cannot stand in a header.
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
        # They stand in headers: anything else fails far from its cause. The value is not shown.
        for name in ("access_key", "secret_key", "session_token", "region"):
            if not _PRINTABLE.fullmatch(getattr(self, name)):
                raise ConfigError(
                    "config.bad_value",
                    field=name,
                    value="…",
                    origin=self.settings_origin or self.name,
                    allowed="printable ASCII characters without spaces",
                )

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
_SECRETS = frozenset({"aws_access_key_id", "aws_secret_access_key", "aws_session_token"})

_FIELDS = (
    _Field("aws_access_key_id", "RUNPOD_S3_ACCESS_KEY"),
    _Field("aws_secret_access_key", "RUNPOD_S3_SECRET_KEY"),
    _Field("datacenter", "RUNPOD_DATACENTER"),
    _Field("volume_id", "RUNPOD_VOLUME_ID"),
    _Field("endpoint_url", "RUNPOD_S3_ENDPOINT_URL", required=False),
)


def load_profile(
    name: str = DEFAULT_PROFILE,
    *,
    path: str | os.PathLike[str] | None = None,
    environ: Mapping[str, str] | None = None,
) -> Profile:
    """Read a profile: environment first, then `path`, then an AWS profile of that name.

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
    values = {field.key: environ.get(field.variable, "").strip() for field in _FIELDS}
    section, warnings = _read_section(file, name, needed=not _complete(values))
    if section is None and not _complete(values):
        return _aws_profile(name, file, values, environ)
    section = section or {}
    for item in _FIELDS:
        values[item.key] = values[item.key] or section.get(item.key, "").strip()
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
    return _profile(name, file, values, section, warnings)


def _complete(values: Mapping[str, str]) -> bool:
    required = ("aws_access_key_id", "aws_secret_access_key", "volume_id")
    return all(values[key] for key in required) and bool(
        values["datacenter"] or values["endpoint_url"]
    )


def _profile(
    name: str,
    file: Path,
    values: Mapping[str, str],
    section: Mapping[str, str],
    warnings: list[tuple[str, Mapping[str, Param]]],
) -> Profile:
    datacenter = values["datacenter"]
    endpoint = values["endpoint_url"]
    if endpoint:
        _check_endpoint(endpoint, section, file)
    else:
        endpoint = f"https://s3api-{datacenter.lower()}.runpod.io/"
        if datacenter.upper() not in RUNPOD_DATACENTERS:
            warnings.append(("config.unknown_datacenter", {"datacenter": datacenter}))
    return Profile(
        name=name,
        endpoint_url=endpoint,
        region=datacenter.lower() or section.get("region", "").strip() or "us-east-1",
        bucket=values["volume_id"],
        access_key=values["aws_access_key_id"],
        secret_key=values["aws_secret_access_key"],
        warnings=tuple(warnings),
        settings={key: value for key, value in section.items() if key not in _SECRETS},
        settings_origin=f"[{name}] of {file}",
    )


def _check_endpoint(endpoint: str, section: Mapping[str, str], file: Path) -> None:
    in_file = section.get("endpoint_url", "").strip() == endpoint
    origin = str(file) if in_file else "RUNPOD_S3_ENDPOINT_URL"
    try:
        parts = urlsplit(endpoint)
        valid = parts.scheme in {"http", "https"} and bool(parts.hostname)
        valid = valid and (parts.port is None or parts.port > 0)
    except ValueError:
        valid = False
    if not valid:
        raise ConfigError("config.bad_endpoint", value=endpoint, origin=origin)


def _read_section(
    file: Path, name: str, *, needed: bool
) -> tuple[Mapping[str, str] | None, list[tuple[str, Mapping[str, Param]]]]:
    """Return the profile's section, or None; a file the environment replaces need not be valid."""
    try:
        with file.open(encoding="utf-8-sig") as stream:
            mode = os.fstat(stream.fileno()).st_mode
            parser = configparser.RawConfigParser()
            parser.read_file(stream)
    except FileNotFoundError:
        return None, []
    except OSError as error:
        if not needed:
            return None, []
        reason = error.strerror or "error"
        raise ConfigError("config.unreadable", path=str(file), reason=reason) from error
    except (configparser.Error, UnicodeDecodeError) as error:
        if not needed:
            return None, []
        # The parser's own message quotes the line, which may hold a secret.
        line = getattr(error, "lineno", None)
        reason = f"{type(error).__name__}, line {line}" if line else type(error).__name__
        raise ConfigError("config.malformed", path=str(file), reason=reason, profile=name) from None
    section = dict(parser[name]) if parser.has_section(name) else None
    warnings: list[tuple[str, Mapping[str, Param]]] = []
    if section is not None and mode & (stat.S_IRWXG | stat.S_IRWXO):
        warnings.append(("config.readable_by_others", {"path": str(file)}))
    return section, warnings


def _aws_profile(
    name: str, file: Path, values: Mapping[str, str], environ: Mapping[str, str]
) -> Profile:
    """Look the profile up among AWS's own, whose values the AWS libraries read themselves."""
    credentials = Path(environ.get("AWS_SHARED_CREDENTIALS_FILE") or "~/.aws/credentials")
    config = Path(environ.get("AWS_CONFIG_FILE") or "~/.aws/config")
    known = _sections(credentials.expanduser()) | {
        section.removeprefix("profile ") for section in _sections(config.expanduser())
    }
    if name not in known:
        if not file.exists():
            raise ConfigError("config.no_profile_file", path=str(file), profile=name)
        names = ", ".join(sorted(_sections(file))) or "-"
        raise ConfigError("config.unknown_profile", profile=name, path=str(file), known=names)
    if not values["volume_id"]:
        raise ConfigError("config.aws_no_bucket", profile=name)
    if values["endpoint_url"]:
        _check_endpoint(values["endpoint_url"], {}, file)
    return Profile(
        name=name,
        endpoint_url=values["endpoint_url"],
        region=values["datacenter"].lower(),
        bucket=values["volume_id"],
        access_key=values["aws_access_key_id"],
        secret_key=values["aws_secret_access_key"],
        aws_profile=name,
    )


def _sections(file: Path) -> set[str]:
    parser = configparser.RawConfigParser()
    try:
        parser.read(file, encoding="utf-8-sig")
    except (configparser.Error, UnicodeDecodeError, OSError):
        return set()
    return set(parser.sections())
