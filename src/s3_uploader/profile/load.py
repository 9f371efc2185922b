"""Find a profile: in the environment, in its file, or among the AWS profiles."""

import os
from collections.abc import Mapping
from pathlib import Path

from s3_uploader.errors import ConfigError
from s3_uploader.ini import read_ini
from s3_uploader.profile.files import aws_profiles, read_section
from s3_uploader.profile.names import (
    ACCESS_KEY,
    BUCKET,
    DATACENTER,
    ENDPOINT_URL,
    FILE,
    OWN,
    PROVIDER,
    REGION,
    RUNPODS,
    SECRET_KEY,
    SECRETS,
    SESSION_TOKEN,
    VOLUME_ID,
    Found,
    Name,
    Sources,
)
from s3_uploader.profile.value import (
    Profile,
    Warnings,
    check_endpoint,
    check_header,
    check_pair,
)
from s3_uploader.providers import AMAZON, BY_NAME, RUNPOD, Provider, provider_at

PROFILE_FILE = "~/.runpod_s3_config"
DEFAULT_PROFILE = "runpods3"


_PLACE = frozenset({name.key for name in (ENDPOINT_URL, BUCKET, VOLUME_ID, REGION, DATACENTER)})


def load_profile(
    name: str = DEFAULT_PROFILE,
    *,
    path: str | os.PathLike[str] | None = None,
    environ: Mapping[str, str] | None = None,
) -> Profile:
    """Read a profile: environment first, then `path`, then an AWS profile of that name.

    Each value of the environment overrides the file's, and S3_UPLOADER_… overrides RUNPOD_…; an
    overridden RUNPOD_… variable that differs is a warning (`profile.names` says why). A session
    token is used only with a key pair that comes from the same place as the token.

    An endpoint that is not set follows from the provider and the region. The provider is
    S3_UPLOADER_PROVIDER or the section's `provider`; else RunPod if a datacenter or a volume id is
    set, and Amazon S3 if a bucket and a region are.

    Args:
        name: section of the file; default "runpods3".
        path: INI file; default `~/.runpod_s3_config`.
        environ: environment; default the process's.

    Raises:
        ConfigError: no such profile, a malformed file, or a value missing, blank or not allowed.
    """
    environ = os.environ if environ is None else environ
    # os.path.expanduser leaves the ~ of a user without a home directory; pathlib's raises.
    file = Path(path if path is not None else os.path.expanduser(PROFILE_FILE))
    alone = Sources(environ, {}, "")
    enough = not _missing(alone, _provider(alone))
    section, warnings = read_section(file, name, needed=not enough)
    if section is None and not enough:
        return _aws_profile(name, file, alone, environ)
    used = _used(section or {}, alone) if enough else section or {}
    sources = Sources(environ, used, f"[{name}] of {file}")
    provider = _provider(sources)
    for missing in _missing(sources, provider):
        raise ConfigError(
            "config.missing_key",
            field=missing.key,
            variable=missing.variable(runpod=provider is RUNPOD),
            profile=name,
            path=str(file),
        )
    _check_headers(sources)
    return _profile(name, sources, provider, warnings)


def _used(section: Mapping[str, str], alone: Sources) -> Mapping[str, str]:
    """Return the section; only its settings where S3_UPLOADER_… variables name a whole store."""
    if not alone.at(BUCKET, OWN).value:
        return section
    return {key: value for key, value in section.items() if key not in _PLACE}


def _check_headers(sources: Sources) -> None:
    for each in (ACCESS_KEY, SECRET_KEY, SESSION_TOKEN, DATACENTER, REGION):
        found = sources.find(each)
        check_header(each.key, found.value, sources.origin(found))


def _provider(sources: Sources) -> Provider:
    """Return the provider that the values name or imply.

    Raises:
        ConfigError: no provider has the name that is set, or the endpoint is not a store's URL.
    """
    endpoint = sources.find(ENDPOINT_URL)
    if endpoint.value:
        check_endpoint(endpoint.value, sources.origin(endpoint))
    chosen = sources.find(PROVIDER)
    if chosen.value in BY_NAME:
        return BY_NAME[chosen.value]
    if chosen.value not in {"", "auto"}:
        raise ConfigError(
            "config.bad_value",
            field=PROVIDER.key,
            value=chosen.value,
            origin=sources.origin(chosen),
            allowed="one of auto, " + ", ".join(BY_NAME),
        )
    if endpoint.value:
        return provider_at(endpoint.value)
    bucket = sources.find(BUCKET).value
    region = sources.at(REGION, OWN).value
    if sources.find(DATACENTER).value and not region:
        return RUNPOD
    named = bucket or (region and not sources.find(VOLUME_ID).value)
    return AMAZON if named else RUNPOD


def _place(sources: Sources) -> Found:
    """Return the region as written; a datacenter is a region, and overrides the file's `region`."""
    own = sources.at(REGION, OWN)
    return own if own.value else sources.find(DATACENTER, REGION)


def _missing(sources: Sources, provider: Provider) -> list[Name]:
    """Return which values are missing, by the names that fit the provider."""
    place = _place(sources)
    # A `region` that is not one of the provider's was meant for another store.
    meant = place.called != REGION.key or provider.knows(place.value)
    where = bool(sources.find(ENDPOINT_URL).value or (meant and provider.endpoint(place.value)))
    of_region = DATACENTER if provider is RUNPOD else REGION
    needed = [
        (ACCESS_KEY, bool(sources.find(ACCESS_KEY).value)),
        (SECRET_KEY, bool(sources.find(SECRET_KEY).value)),
        (of_region if provider.endpoint_template else ENDPOINT_URL, where),
        (VOLUME_ID if provider is RUNPOD else BUCKET, bool(sources.find(BUCKET, VOLUME_ID).value)),
    ]
    return [name for name, there in needed if not there]


def _region(sources: Sources) -> str:
    """Return the region to sign for."""
    place = _place(sources)
    is_datacenter = place.called in {DATACENTER.runpods, DATACENTER.key}
    return place.value.lower() if is_datacenter else place.value


def _profile(name: str, sources: Sources, provider: Provider, warnings: Warnings) -> Profile:
    endpoint = sources.find(ENDPOINT_URL).value
    place = _place(sources)
    if not endpoint:
        endpoint = provider.endpoint(place.value)
        if not provider.knows(place.value):
            warnings += (("config.unknown_datacenter", {"datacenter": place.value}),)
    token, unused = _session_token(sources)
    return Profile(
        name=name,
        endpoint_url=endpoint,
        region=_region(sources) or "us-east-1",
        bucket=sources.find(BUCKET, VOLUME_ID).value,
        access_key=sources.find(ACCESS_KEY).value,
        secret_key=sources.find(SECRET_KEY).value,
        session_token=token,
        warnings=warnings + unused + _contradictions(sources),
        settings={key: value for key, value in sources.section.items() if key not in SECRETS},
        settings_origin=sources.section_origin,
    )


def _session_token(sources: Sources) -> tuple[str, Warnings]:
    """Return the token of the key pair in use, and warnings about tokens of no pair in use.

    A key pair with its halves from two places is not a temporary one; the token of a pair that is
    overridden as a whole is no mistake.
    """
    pair = {sources.find(ACCESS_KEY).place, sources.find(SECRET_KEY).place}
    place = pair.pop() if len(pair) == 1 else None
    found = [sources.at(SESSION_TOKEN, each) for each in (OWN, RUNPODS, FILE)]
    lone = [
        f"{token.called} ({sources.section_origin})" if token.place == FILE else token.called
        for token in found
        if token.place is not None and (place is None or token.place < place)
    ]
    used = "" if place is None else found[place].value
    return used, tuple(("config.lone_token", {"token": token}) for token in lone)


def _contradictions(sources: Sources) -> Warnings:
    pairs = list(sources.contradictions())
    if not pairs:
        return ()
    used, unused = (", ".join(names) for names in zip(*pairs, strict=True))
    return (("config.contradiction", {"used": used, "unused": unused}),)


def _aws_profile(name: str, file: Path, sources: Sources, environ: Mapping[str, str]) -> Profile:
    """Look the profile up among the AWS profiles, whose values the AWS libraries read."""
    if name not in aws_profiles(environ):
        raise _not_found(name, file, sources)
    bucket = sources.find(BUCKET, VOLUME_ID).value
    if not bucket:
        raise ConfigError("config.aws_no_bucket", profile=name, variable=BUCKET.own)
    pair = (ACCESS_KEY, SECRET_KEY)
    own = any(sources.at(key, OWN).value for key in pair)
    check_pair({key.own if own else key.runpods: sources.find(key).value for key in pair}, name)
    token, warnings = _session_token(sources)
    return Profile(
        name=name,
        endpoint_url=sources.find(ENDPOINT_URL).value,
        region=_region(sources),
        bucket=bucket,
        access_key=sources.find(ACCESS_KEY).value,
        secret_key=sources.find(SECRET_KEY).value,
        session_token=token,
        aws_profile=name,
        warnings=warnings + _contradictions(sources),
    )


def _not_found(name: str, file: Path, sources: Sources) -> ConfigError:
    """Return the error that says what to write or set for the store that is meant."""
    if file.exists():
        names = ", ".join(sorted(read_ini(file)[0].sections())) or "-"
        return ConfigError("config.unknown_profile", profile=name, path=str(file), known=names)
    provider = _provider(sources)
    if provider is RUNPOD:
        return ConfigError("config.no_profile_file", path=str(file), profile=name)
    where = REGION if provider.endpoint_template else ENDPOINT_URL
    return ConfigError(
        "config.incomplete",
        path=str(file),
        profile=name,
        variables=", ".join(name.own for name in _missing(sources, provider)),
        fields=", ".join(name.key for name in (ACCESS_KEY, SECRET_KEY, BUCKET, where)),
    )
