"""The settings of an upload, validated and frozen."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal, get_args

from s3_uploader.checksums import ALGORITHMS, CRC64NVME, Digests
from s3_uploader.errors import ConfigError
from s3_uploader.messages import Language
from s3_uploader.profile import Profile
from s3_uploader.providers import (
    Limits,
    Provider,
    ProviderChoice,
    Tuning,
    provider_at,
    provider_named,
)
from s3_uploader.sizes import GIB, KIB, MIB, TIB

Integrity = Literal["auto", "md5", "crc64nvme", "off"]
LaneChoice = Literal["auto", "boto"]
OnCancel = Literal["abort", "keep"]
Symlinks = Literal["follow", "inside", "skip"]

_UNITS = {"": 1, "K": KIB, "M": MIB, "G": GIB, "T": TIB}


def _size(value: str) -> int:
    """Parse "8388608", "8MiB", "8 MB" or "8M"; units are binary, as in the log."""
    text = value.strip().upper().removesuffix("B").removesuffix("I")
    unit = text[-1:] if text[-1:] in set("KMGT") else ""
    return int(float(text.removesuffix(unit)) * _UNITS[unit])


@dataclass(frozen=True, slots=True)
class _Setting:
    """How a field of `UploadConfig` is read from text, and what is allowed."""

    parse: Any
    allowed: str
    valid: Any


def _at_least(least: float, parse: Any, what: str) -> _Setting:
    return _Setting(parse, f"{what}, at least {least:g}", lambda value: value >= least)


def _one_of(kind: Any) -> _Setting:
    choices = get_args(kind)
    return _Setting(str.strip, "one of " + ", ".join(choices), lambda value: value in choices)


def _path(value: str) -> str:
    return os.path.expanduser(value.strip())


_TRUE, _FALSE = ("true", "yes", "on", "1", "t", "y"), ("false", "no", "off", "0", "f", "n")


def _flag(value: str) -> bool:
    word = value.strip().lower()
    if word not in _TRUE + _FALSE:
        raise ValueError(value)
    return word in _TRUE


def _journal(value: str) -> str:
    """Return the path, or "off" for every word that means no: none is the name of a journal."""
    return "off" if value.strip().lower() in _FALSE else _path(value)


_PEM_FILE = _Setting(_path, "the path of a PEM file", lambda value: Path(value).is_file())

_SETTINGS = {
    "provider": _one_of(ProviderChoice),
    "max_requests": _at_least(1, int, "a whole number"),
    "part_size": _at_least(1, _size, "a size such as 64MiB"),
    "multipart_threshold": _at_least(0, _size, "a size such as 64MiB"),
    "max_parts": _at_least(1, int, "a whole number"),
    "min_part_size": _at_least(1, _size, "a size such as 5MiB"),
    "max_part_size": _at_least(1, _size, "a size such as 95MiB"),
    "integrity": _one_of(Integrity),
    "lane": _one_of(LaneChoice),
    "max_attempts": _at_least(1, int, "a whole number"),
    "backoff_base": _at_least(0, float, "seconds"),
    "backoff_cap": _at_least(0, float, "seconds"),
    "connect_timeout": _at_least(0.001, float, "seconds"),
    "stall_timeout": _at_least(0.001, float, "seconds"),
    "response_timeout": _at_least(0.001, float, "seconds"),
    "ca_bundle": _PEM_FILE,
    "journal": _Setting(
        _journal, '"off" or the path of a file', lambda value: value and not Path(value).is_dir()
    ),
    "adopt": _Setting(
        _flag,
        "true, yes, on or 1; false, no, off or 0",
        lambda value: isinstance(value, bool),
    ),
    "on_cancel": _one_of(OnCancel),
    "symlinks": _one_of(Symlinks),
    "outcome_timeout": _at_least(0, float, "seconds"),
    "lang": _one_of(Language),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadConfig:
    """The settings of an upload. None stands for what suits the store (`s3_uploader.providers`).

    Every field can also come from the environment as `S3_UPLOADER_<FIELD>` (upper case) and from
    the profile's section; an explicit value beats the environment, which beats the file.

    Attributes:
        provider: the kind of store, which determines the defaults of the limits below. "auto"
            derives it from the endpoint's host; "minio", "ceph" and "seaweedfs" must be named, and
            so must any store behind your own host name. Default "auto".
        max_requests: most requests in flight at once, over all calls of one Uploader.
        part_size: bytes of a part; grows where the store's part limit demands it.
        multipart_threshold: files of more bytes than this are sent in parts.
        max_parts: most parts that the store allows in one multipart upload.
        min_part_size: fewest bytes that the store allows in a part other than the last.
        max_part_size: most bytes that the store allows in one part or single PUT.
        integrity: "auto" compares MD5 with the ETag where the store's ETags are MD5 and falls
            back to the size elsewhere; "md5" requires the ETag as proof; "crc64nvme" sends
            CRC-64/NVME with each body and requires that the store's response confirms it, at a
            fraction of MD5's CPU (extra `crc`); "off" hashes nothing. Default "auto", which is
            "crc64nvme" where the provider is known to verify that checksum, as Amazon S3 is, and
            the extra is installed.
        lane: "auto" sends requests without aioboto3 where possible; "boto" makes every call through
            aioboto3. Default "auto".
        max_attempts: attempts of one request, the first included. Default 10 (RunPod's advice).
        backoff_base, backoff_cap: seconds; attempt n waits uniform(0, min(cap, base * 2**(n-1)))
            (full jitter, AWS Architecture Blog "Exponential Backoff And Jitter").
            Defaults 0.5 and 20.
        connect_timeout: seconds to open a connection. Default 10.
        stall_timeout: seconds without a byte moving while a body is sent. Default 60.
        response_timeout: seconds to wait for the response after the body. Default 150
            (RunPod's proxy gives up after about 100 and responds with 524).
        ca_bundle: PEM file of certificate authorities to trust instead of AWS_CA_BUNDLE's, or
            certifi's, or botocore's.
        journal: SQLite file that records multipart uploads in progress, so that an interrupted one
            can be resumed; "off" for none. Default `journal.db` in the user's state directory, as
            platformdirs names it; none for a store passed to `Uploader`.
        adopt: resume an open multipart upload of the same key that the journal does not know,
            whoever created it, as far as its parts are the file's bytes. Default False.
        on_cancel: what a cancelled upload does with its multipart upload: "abort" it, or "keep" it
            in the journal to be resumed. Default "abort".
        symlinks: which symbolic links below a directory are followed: "follow" each, "inside" those
            whose target lies in the directory too, or "skip" them all. Default "follow".
        outcome_timeout: seconds to determine whether a CompleteMultipartUpload whose response was
            lost took effect. Default 60, and 30 more for each GiB of the object (RunPod took
            7.5 minutes for 38 GB).
        lang: language of the log, "zh" or "en". Default "zh".

    Raises:
        ConfigError: "config.bad_value" names the field, its value, where it came from and what
            is allowed; "config.needs_extra" names the extra a value needs.
    """

    provider: ProviderChoice = "auto"
    max_requests: int | None = None
    part_size: int | None = None
    multipart_threshold: int | None = None
    max_parts: int | None = None
    min_part_size: int | None = None
    max_part_size: int | None = None
    integrity: Integrity = "auto"
    lane: LaneChoice = "auto"
    max_attempts: int = 10
    backoff_base: float = 0.5
    backoff_cap: float = 20.0
    connect_timeout: float = 10.0
    stall_timeout: float = 60.0
    response_timeout: float = 150.0
    ca_bundle: str | None = None
    journal: str | None = None
    adopt: bool = False
    on_cancel: OnCancel = "abort"
    symlinks: Symlinks = "follow"
    outcome_timeout: float | None = None
    lang: Language = "zh"

    def __post_init__(self) -> None:
        for name, setting in _SETTINGS.items():
            value = getattr(self, name)
            if value is not None and not _is_allowed(setting, value):
                raise _bad_value(name, value, "UploadConfig", setting)
        algorithm = ALGORITHMS.get(self.integrity)
        if algorithm is not None and not algorithm.installed:
            raise ConfigError(
                "config.needs_extra",
                field="integrity",
                value=self.integrity,
                extra=algorithm.extra,
            )

    @classmethod
    def load(
        cls, profile: Profile | None = None, environ: Mapping[str, str] | None = None
    ) -> "UploadConfig":
        """Return the settings of the environment and of the profile's section.

        Raises:
            ConfigError: as for the class.
        """
        environ = os.environ if environ is None else environ
        values: dict[str, Any] = {}
        for item in fields(cls):
            variable = f"S3_UPLOADER_{item.name.upper()}"
            if environ.get(variable, "").strip():
                values[item.name] = _parse(item.name, environ[variable], variable)
            elif profile is not None and profile.settings.get(item.name, "").strip():
                raw = profile.settings[item.name]
                values[item.name] = _parse(item.name, raw, profile.settings_origin)
        return cls(**values)

    @property
    def digests(self) -> Digests:
        """What is computed over the bytes that are sent."""
        algorithm = ALGORITHMS.get(self.integrity)
        return Digests(md5=algorithm is None and self.integrity != "off", checksum=algorithm)

    def decided(self, provider: Provider) -> "UploadConfig":
        """Return these settings with "auto" replaced by what it means for a store of `provider`."""
        known = provider.capabilities.crc64nvme
        if self.integrity == "auto" and known and CRC64NVME.installed:
            return replace(self, integrity="crc64nvme")
        return self

    def provider_at(self, endpoint_url: str) -> Provider:
        """Return the provider of the store at `endpoint_url`, with these settings applied.

        Raises:
            ConfigError: part_size is outside what the store allows.
        """
        auto = self.provider == "auto"
        provider = provider_at(endpoint_url) if auto else provider_named(self.provider)
        limits = self._limits(provider.limits)
        tuning = self._tuning(provider.tuning, limits)
        if not limits.min_part <= tuning.part_size <= limits.max_part:
            raise ConfigError(
                "config.bad_value",
                field="part_size",
                value=tuning.part_size,
                origin="part_size, min_part_size, max_part_size",
                allowed=f"{provider.title} accepts {limits.min_part} to {limits.max_part} bytes",
            )
        return replace(provider, limits=limits, tuning=tuning)

    def _limits(self, known: Limits) -> Limits:
        max_part = self.max_part_size or known.max_part
        max_parts = self.max_parts or known.max_parts
        # Whoever raises these limits knows better than the documentation what the store accepts.
        raised = max_part > known.max_part or max_parts > known.max_parts
        return replace(
            known,
            max_parts=max_parts,
            min_part=self.min_part_size or known.min_part,
            max_part=max_part,
            max_put=min(known.max_put, max_part) if self.max_part_size else known.max_put,
            object_limit=None if raised else known.object_limit,
        )

    def _tuning(self, known: Tuning, limits: Limits) -> Tuning:
        part_size = self.part_size or min(known.part_size, limits.max_part)
        threshold = self.multipart_threshold
        if threshold is None:
            threshold = max(known.multipart_threshold, part_size)
        max_requests = self.max_requests or known.max_requests
        return Tuning(
            part_size=part_size,
            multipart_threshold=min(threshold, limits.max_put),
            max_requests=max_requests,
            requests=min(known.requests, max_requests),
        )


def _is_allowed(setting: _Setting, value: Any) -> bool:
    try:
        return bool(setting.valid(value))
    except TypeError:
        return False


def _parse(name: str, raw: str, origin: str) -> Any:
    setting = _SETTINGS[name]
    try:
        value = setting.parse(raw)
    except (ValueError, KeyError, OverflowError):
        raise _bad_value(name, raw, origin, setting) from None
    if not _is_allowed(setting, value):
        raise _bad_value(name, raw, origin, setting)
    return value


def _bad_value(name: str, value: Any, origin: str, setting: _Setting) -> ConfigError:
    shown = value if isinstance(value, str | int | float) else repr(value)
    return ConfigError(
        "config.bad_value", field=name, value=shown, origin=origin, allowed=setting.allowed
    )
