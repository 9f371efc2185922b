"""UploadConfig: where each field can come from, and what is said of an invalid value."""

import dataclasses
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from s3_uploader import ConfigError, Profile, UploadConfig
from s3_uploader.providers import GENERIC, RUNPOD, Tuning
from s3_uploader.sizes import GIB, MIB, TIB

_RUNPOD_URL = "https://s3api-us-ca-2.runpod.io/"

_GOOD: dict[str, tuple[str, Any]] = {
    "provider": ("minio", "minio"),
    "max_requests": ("7", 7),
    "part_size": ("64MiB", 64 * MIB),
    "multipart_threshold": ("0", 0),
    "max_parts": ("100", 100),
    "min_part_size": ("1MiB", 1024**2),
    "max_part_size": (" 95 MB ", 95 * MIB),
    "integrity": ("md5", "md5"),
    "lane": ("boto", "boto"),
    "max_attempts": ("3", 3),
    "backoff_base": ("0.25", 0.25),
    "backoff_cap": ("5", 5.0),
    "connect_timeout": ("2.5", 2.5),
    "stall_timeout": ("30", 30.0),
    "response_timeout": ("99", 99.0),
    "journal": ("off", "off"),
    "adopt": ("Yes", True),
    "on_cancel": ("keep", "keep"),
    "symlinks": (" inside ", "inside"),
    "outcome_timeout": ("90", 90.0),
    "lang": ("en", "en"),
}
_BAD = {
    "provider": ["s3", "RunPod", "127.0.0.1"],
    "max_requests": ["0", "-1", "four", "1.5"],
    "part_size": ["0", "big", "8 XB", "-1MiB", "nan", "inf"],
    "multipart_threshold": ["-1", "x"],
    "max_parts": ["0"],
    "min_part_size": ["0"],
    "max_part_size": ["0", "MiB"],
    "integrity": ["yes", "MD5"],
    "lane": ["fast"],
    "max_attempts": ["0", "often"],
    "backoff_base": ["-0.1", "nan"],
    "backoff_cap": ["-1"],
    "connect_timeout": ["0", "soon"],
    "stall_timeout": ["0"],
    "response_timeout": ["-3"],
    "ca_bundle": ["/no/such/file.pem"],
    "journal": ["/"],
    "adopt": ["perhaps"],
    "on_cancel": ["pray"],
    "symlinks": ["no", "FOLLOW"],
    "outcome_timeout": ["-1"],
    "lang": ["fr"],
}


def _profile(settings: dict[str, str]) -> Profile:
    return Profile(
        name="p",
        endpoint_url="http://h/",
        region="r",
        bucket="b",
        settings=settings,
        settings_origin="[p] of /some/file",
    )


def test_every_field_is_in_these_tables() -> None:
    names = {item.name for item in dataclasses.fields(UploadConfig)}
    assert _GOOD.keys() | {"ca_bundle"} == names
    assert _BAD.keys() == names


@pytest.mark.parametrize("field", _GOOD)
def test_field_comes_from_the_environment(field: str, monkeypatch: pytest.MonkeyPatch) -> None:
    raw, value = _GOOD[field]
    monkeypatch.setenv(f"S3_UPLOADER_{field.upper()}", raw)
    assert getattr(UploadConfig.load(), field) == value


@pytest.mark.parametrize("field", _GOOD)
def test_field_comes_from_the_profiles_section(field: str) -> None:
    raw, value = _GOOD[field]
    config = UploadConfig.load(_profile({field: raw}), environ={})
    assert getattr(config, field) == value


def test_ca_bundle_comes_from_either(tmp_path: Path) -> None:
    pem = tmp_path / "ca.pem"
    pem.write_text("x")
    from_environment = UploadConfig.load(environ={"S3_UPLOADER_CA_BUNDLE": str(pem)})
    assert from_environment.ca_bundle == str(pem)
    from_file = UploadConfig.load(_profile({"ca_bundle": str(pem)}), environ={})
    assert from_file.ca_bundle == str(pem)


def test_environment_beats_the_section_and_blank_is_absent() -> None:
    profile = _profile({"max_requests": "3", "max_attempts": " "})
    config = UploadConfig.load(profile, environ={"S3_UPLOADER_MAX_REQUESTS": "5"})
    assert (config.max_requests, config.max_attempts) == (5, 10)
    config = UploadConfig.load(profile, environ={"S3_UPLOADER_MAX_REQUESTS": " "})
    assert config.max_requests == 3


@pytest.mark.parametrize(("field", "raw"), [(name, raw) for name in _BAD for raw in _BAD[name]])
def test_bad_value_names_field_value_origin_and_what_is_allowed(field: str, raw: str) -> None:
    variable = f"S3_UPLOADER_{field.upper()}"
    with pytest.raises(ConfigError) as caught:
        UploadConfig.load(environ={variable: raw})
    for words in (field, repr(raw)[1:-1], variable):
        assert words in str(caught.value)
    assert caught.value.params["allowed"]
    with pytest.raises(ConfigError) as caught:
        UploadConfig.load(_profile({field: raw}), environ={})
    assert "[p] of /some/file" in str(caught.value)


@pytest.mark.parametrize("word", ["true", "yes", "on", "1", "y", "T", "YES", " On "])
def test_words_for_yes_are_true(word: str) -> None:
    assert UploadConfig.load(environ={"S3_UPLOADER_ADOPT": word}).adopt is True


@pytest.mark.parametrize("word", ["false", "no", "off", "0", "n", "F", "NO", " Off "])
def test_words_for_no_are_false_and_switch_the_journal_off(word: str) -> None:
    environ = {"S3_UPLOADER_ADOPT": word, "S3_UPLOADER_JOURNAL": word}
    config = UploadConfig.load(environ=environ)
    assert (config.adopt, config.journal) == (False, "off")


def test_invalid_flag_lists_every_allowed_word() -> None:
    with pytest.raises(ConfigError, match="true, yes, on or 1; false, no, off or 0"):
        UploadConfig.load(environ={"S3_UPLOADER_ADOPT": "maybe"})


@pytest.mark.parametrize("field", ["ca_bundle", "journal"])
def test_path_may_begin_with_the_home_directory(field: str, home: Path) -> None:
    (home / "file").touch()
    config = UploadConfig.load(environ={f"S3_UPLOADER_{field.upper()}": "~/file"})
    assert getattr(config, field) == str(home / "file")


def test_choice_lists_the_choices() -> None:
    with pytest.raises(ConfigError, match="auto, md5, crc64nvme, off"):
        UploadConfig.load(environ={"S3_UPLOADER_INTEGRITY": "maybe"})


@pytest.mark.parametrize(
    "values",
    [{"max_requests": 0}, {"lang": "fr"}, {"backoff_base": "x"}, {"integrity": None, "lang": ""}],
)
def test_value_given_in_code_is_checked_too(values: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="from UploadConfig"):
        UploadConfig(**values)


@pytest.mark.parametrize(
    ("raw", "size"),
    [
        ("8388608", 8 * MIB),
        ("8MiB", 8 * MIB),
        ("8 MB", 8 * MIB),
        ("8m", 8 * MIB),
        ("1.5G", 3 * GIB // 2),
        ("512 KiB", 512 * 1024),
        ("100B", 100),
        ("1TiB", 1024 * GIB),
    ],
)
def test_sizes_are_binary_in_every_spelling(raw: str, size: int) -> None:
    environ = {"S3_UPLOADER_MULTIPART_THRESHOLD": raw}
    assert UploadConfig.load(environ=environ).multipart_threshold == size


def test_config_is_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        UploadConfig().max_attempts = 2  # type: ignore[misc]


# -------------------------------------------------------------------------------------- provider


_ELSEWHERE = "http://127.0.0.1:1"


def test_values_of_the_provider_hold_without_settings() -> None:
    assert UploadConfig().provider_at(_RUNPOD_URL) == RUNPOD
    assert UploadConfig().provider_at(_ELSEWHERE) == GENERIC


def test_settings_replace_values_of_the_provider() -> None:
    config = UploadConfig(
        max_requests=2, part_size=6 * MIB, multipart_threshold=7 * MIB, max_parts=9
    )
    provider = config.provider_at(_ELSEWHERE)
    assert provider.limits == replace(GENERIC.limits, max_parts=9)
    assert provider.tuning == Tuning(
        requests=2, max_requests=2, part_size=6 * MIB, multipart_threshold=7 * MIB
    )


def test_part_size_above_the_threshold_raises_the_threshold() -> None:
    tuning = UploadConfig(part_size=32 * MIB).provider_at(_ELSEWHERE).tuning
    assert tuning.multipart_threshold == 32 * MIB


def test_threshold_above_the_largest_put_is_cut_to_it() -> None:
    tuning = UploadConfig(multipart_threshold=GIB).provider_at(_RUNPOD_URL).tuning
    assert tuning.multipart_threshold == 95 * MIB


def test_max_part_size_bounds_single_puts_and_parts() -> None:
    provider = UploadConfig(max_part_size=6 * MIB).provider_at(_ELSEWHERE)
    assert (provider.limits.max_part, provider.limits.max_put) == (6 * MIB, 6 * MIB)
    assert provider.tuning.part_size == provider.tuning.multipart_threshold == 6 * MIB


def test_named_provider_beats_the_host() -> None:
    assert UploadConfig(provider="runpod").provider_at(_ELSEWHERE) == RUNPOD
    assert UploadConfig(provider="generic").provider_at(_RUNPOD_URL) == GENERIC
    named = UploadConfig(provider="scaleway", max_requests=3).provider_at(_ELSEWHERE)
    assert (named.limits.max_parts, named.tuning.max_requests) == (1_000, 3)


@pytest.mark.parametrize(
    ("settings", "limit"),
    [
        ({}, 5 * TIB),
        ({"max_parts": 5_000}, 5 * TIB),
        ({"max_part_size": GIB}, 5 * TIB),
        ({"max_parts": 100}, 500 * GIB),
        ({"max_parts": 20_000}, 20_000 * 5 * GIB),
        ({"max_part_size": 6 * GIB}, 10_000 * 6 * GIB),
    ],
)
def test_larger_parts_allow_larger_objects(settings: dict[str, Any], limit: int) -> None:
    """The message of a file that is too large says to raise them, and that has to help."""
    config = UploadConfig(provider="gcs", **settings)
    assert config.provider_at(_ELSEWHERE).limits.max_object == limit


@pytest.mark.parametrize("url", ["https://s3.eu-west-1.amazonaws.com", _RUNPOD_URL, _ELSEWHERE])
def test_auto_is_the_checksum_where_the_provider_verifies_it(url: str) -> None:
    config = UploadConfig()
    decided = config.decided(config.provider_at(url)).integrity
    assert decided == ("crc64nvme" if "amazonaws" in url else "auto")


@pytest.mark.parametrize(
    ("config", "url", "store"),
    [
        (UploadConfig(part_size=4 * MIB), "http://127.0.0.1:1", "S3"),
        (UploadConfig(part_size=96 * MIB), _RUNPOD_URL, "RunPod"),
    ],
)
def test_part_size_outside_the_limits_names_the_store_and_its_range(
    config: UploadConfig, url: str, store: str
) -> None:
    with pytest.raises(ConfigError, match=f"part_size.*{store} accepts"):
        config.provider_at(url)
