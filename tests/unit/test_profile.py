"""Profiles: the file, the environment over it, AWS profiles behind it, and every mistake."""

import logging
import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from s3_uploader import ConfigError, Profile, load_profile
from s3_uploader.providers import RUNPOD, provider_at
from s3_uploader.testing import LocalS3Server

_SECRET = "rps_5ecr%t%(value)s/+="

_FULL = {
    "aws_access_key_id": "user_1",
    "aws_secret_access_key": _SECRET,
    "datacenter": "US-CA-2",
    "volume_id": "vol1",
}
_VARIABLES = {
    "aws_access_key_id": "RUNPOD_S3_ACCESS_KEY",
    "aws_secret_access_key": "RUNPOD_S3_SECRET_KEY",
    "datacenter": "RUNPOD_DATACENTER",
    "volume_id": "RUNPOD_VOLUME_ID",
}


def _write(home: Path, values: dict[str, str], section: str = "runpods3") -> Path:
    file = home / ".runpod_s3_config"
    lines = [f"[{section}]", *(f"{name} = {value}" for name, value in values.items())]
    file.write_text("\n".join(lines), encoding="utf-8")
    file.chmod(0o600)
    return file


def _environ(values: dict[str, str]) -> dict[str, str]:
    return {_VARIABLES[name]: value for name, value in values.items()}


def test_file_gives_a_runpod_profile(home: Path) -> None:
    """Endpoint and region follow from the datacenter, and '%' in a secret is just a character."""
    _write(home, _FULL)
    profile = load_profile()
    assert profile.endpoint_url == "https://s3api-us-ca-2.runpod.io/"
    assert (profile.region, profile.bucket) == ("us-ca-2", "vol1")
    assert (profile.access_key, profile.secret_key) == ("user_1", _SECRET)
    assert provider_at(profile.endpoint_url) is RUNPOD
    assert profile.warnings == ()


def test_another_section_is_another_profile(home: Path) -> None:
    _write(home, _FULL | {"volume_id": "other"}, section="staging")
    assert load_profile("staging").bucket == "other"


def test_environment_alone_is_enough() -> None:
    profile = load_profile(environ=_environ(_FULL))
    assert (profile.bucket, profile.secret_key) == ("vol1", _SECRET)


def test_process_environment_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in _environ(_FULL).items():
        monkeypatch.setenv(name, value)
    assert load_profile().access_key == "user_1"


@pytest.mark.parametrize("field", _FULL)
def test_each_variable_beats_the_file(home: Path, field: str) -> None:
    _write(home, _FULL)
    profile = load_profile(environ={_VARIABLES[field]: "from-environment"})
    from_file = load_profile(environ={})
    changed = {
        name
        for name in ("access_key", "secret_key", "region", "bucket", "endpoint_url")
        if getattr(profile, name) != getattr(from_file, name)
    }
    assert (
        changed
        == {
            "aws_access_key_id": {"access_key"},
            "aws_secret_access_key": {"secret_key"},
            "datacenter": {"region", "endpoint_url"},
            "volume_id": {"bucket"},
        }[field]
    )


def test_endpoint_replaces_the_datacenter(home: Path) -> None:
    values = {name: value for name, value in _FULL.items() if name != "datacenter"}
    _write(home, values | {"endpoint_url": "http://127.0.0.1:9000", "region": "here"})
    profile = load_profile()
    assert (profile.endpoint_url, profile.region) == ("http://127.0.0.1:9000", "here")
    replaced = load_profile(environ={"RUNPOD_S3_ENDPOINT_URL": "https://other/"})
    assert replaced.endpoint_url == "https://other/"


def test_complete_environment_needs_no_valid_file(home: Path) -> None:
    (home / ".runpod_s3_config").write_text("not an ini file")
    assert load_profile(environ=_environ(_FULL)).bucket == "vol1"


def test_byte_order_mark_is_accepted(home: Path) -> None:
    file = _write(home, _FULL)
    file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes())
    assert load_profile().bucket == "vol1"


def test_unknown_datacenter_is_a_hint_and_no_error(home: Path) -> None:
    _write(home, _FULL | {"datacenter": "XX-NEW-1"})
    profile = load_profile()
    assert profile.endpoint_url == "https://s3api-xx-new-1.runpod.io/"
    assert profile.warnings == (("config.unknown_datacenter", {"datacenter": "XX-NEW-1"}),)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644])
def test_file_others_can_read_gets_a_warning(home: Path, mode: int) -> None:
    file = _write(home, _FULL)
    file.chmod(mode)
    assert load_profile().warnings == (("config.readable_by_others", {"path": str(file)}),)


# -------------------------------------------------------------------------------------- mistakes


def test_missing_file_says_what_to_write_and_what_to_set(home: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load_profile()
    assert caught.value.code == "config.no_profile_file"
    for words in (str(home / ".runpod_s3_config"), "[runpods3]", *_FULL, *_VARIABLES.values()):
        assert words in str(caught.value)


def test_unknown_profile_error_lists_the_known_ones(home: Path) -> None:
    file = _write(home, _FULL)
    with pytest.raises(ConfigError, match="runpods3") as caught:
        load_profile("typo")
    assert caught.value.code == "config.unknown_profile"
    assert "typo" in str(caught.value)
    assert str(file) in str(caught.value)


@pytest.mark.parametrize("field", _FULL)
@pytest.mark.parametrize("blank", [True, False])
def test_missing_or_blank_key_is_named_with_its_variable(
    home: Path, field: str, *, blank: bool
) -> None:
    values = _FULL | {field: "  "}
    if not blank:
        del values[field]
    file = _write(home, values)
    with pytest.raises(ConfigError) as caught:
        load_profile()
    assert caught.value.code == "config.missing_key"
    for words in (field, _VARIABLES[field], "[runpods3]", str(file)):
        assert words in str(caught.value)


_MALFORMED = [
    (f"aws_secret_access_key = {_SECRET}\n".encode(), 1),
    (b"[runpods3]\nrps_5ecr%t\n", 2),
    (f"[runpods3]\nx = {_SECRET}\nx = {_SECRET}\n".encode(), 3),
    (f"[runpods3]\nx = 1\n[runpods3]\ny = {_SECRET}\n".encode(), 3),
    (b"[runpods3\nrps_5ecr%t", 1),
    # Further into the file than what is decoded at a time.
    (b"[runpods3]\n" + b"# filler\n" * 5000 + b"x = rps_5ecr%t\xff\n", 5002),
]


@pytest.mark.parametrize(("content", "line"), _MALFORMED)
def test_malformed_file_is_named_without_a_word_of_its_content(
    home: Path, content: bytes, line: int
) -> None:
    file = home / ".runpod_s3_config"
    file.write_bytes(content)
    with pytest.raises(ConfigError, match=f"line {line}\\b") as caught:
        load_profile()
    assert caught.value.code == "config.malformed"
    assert str(file) in str(caught.value)
    assert "5ecr" not in caught.value.message("zh") + str(caught.value) + repr(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


def test_file_that_is_not_text_is_malformed(home: Path) -> None:
    (home / ".runpod_s3_config").write_bytes(b"[runpods3]\nx = \xff\xfe\n")
    with pytest.raises(ConfigError, match="not a valid INI file"):
        load_profile()


def test_directory_in_place_of_the_file_is_unreadable(home: Path) -> None:
    (home / ".runpod_s3_config").mkdir()
    with pytest.raises(ConfigError) as caught:
        load_profile()
    assert caught.value.code == "config.unreadable"


@pytest.mark.parametrize("url", ["127.0.0.1:9000", "ftp://h/", "http://", "http://h:port/", "x"])
def test_bad_endpoint_names_its_value_and_where_it_came_from(home: Path, url: str) -> None:
    file = _write(home, _FULL | {"endpoint_url": url})
    with pytest.raises(ConfigError) as caught:
        load_profile()
    assert url in str(caught.value)
    assert str(file) in str(caught.value)
    with pytest.raises(ConfigError, match="RUNPOD_S3_ENDPOINT_URL"):
        load_profile(environ=_environ(_FULL) | {"RUNPOD_S3_ENDPOINT_URL": url + "?"})


_USERINFO = [
    "https://user:5ecret@host/",
    "https://user@host/",
    "https://:5ecret@host:9000/",
    # A password with characters that end the authority: the rest is no longer its.
    "https://user:5ec/ret@host/",
    "https://user:12#5ecret@host/",
    "user:5ecret@host",
]


@pytest.mark.parametrize("url", _USERINFO)
def test_endpoint_with_a_password_is_refused_and_not_shown(home: Path, url: str) -> None:
    _write(home, _FULL | {"endpoint_url": url})
    in_environment = _environ(_FULL) | {"RUNPOD_S3_ENDPOINT_URL": url}
    with pytest.raises(ConfigError) as of_file:
        load_profile()
    with pytest.raises(ConfigError, match="RUNPOD_S3_ENDPOINT_URL") as of_environment:
        load_profile(environ=in_environment)
    with pytest.raises(ConfigError, match="from by-hand") as of_code:
        Profile(name="by-hand", endpoint_url=url, region="r", bucket="b")
    for caught in (of_file, of_environment, of_code):
        assert caught.value.code == "config.endpoint_userinfo"
        shown = f"{caught.value!r} {caught.value.params}" + caught.value.message("zh")
        assert "5ec" not in shown + str(caught.value)
        assert "user" not in repr(caught.value.params)


@pytest.mark.parametrize("field", ["aws_access_key_id", "aws_secret_access_key", "datacenter"])
def test_value_invalid_in_a_header_is_refused_with_its_origin(home: Path, field: str) -> None:
    file = _write(home, _FULL)
    with pytest.raises(ConfigError, match=f"{field}.*{_VARIABLES[field]}") as caught:
        load_profile(environ={_VARIABLES[field]: "5ecret wörd"})
    assert "wörd" not in str(caught.value) + repr(caught.value.params)
    _write(home, _FULL | {field: "5ecret wörd"})
    with pytest.raises(ConfigError, match=f"{field}.*{file}"):
        load_profile(environ={})


@pytest.mark.parametrize("url", ["http://h/?x=1", "http://h/#x", "http://hö/", "h", "ftp://h/"])
def test_invalid_endpoint_is_refused_in_code_too(url: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Profile(name="by-hand", endpoint_url=url, region="r", bucket="b")
    assert caught.value.code == "config.bad_endpoint"
    assert url in str(caught.value)


# ----------------------------------------------------------------------------------- AWS profile


def _write_aws(home: Path, name: str) -> None:
    (home / ".aws").mkdir()
    credentials = f"[{name}]\naws_access_key_id = AKIA1\naws_secret_access_key = {_SECRET}\n"
    (home / ".aws" / "credentials").write_text(credentials)


def test_profile_not_in_the_file_is_looked_up_in_the_aws_files(home: Path) -> None:
    _write(home, _FULL)
    _write_aws(home, "corporate")
    profile = load_profile("corporate", environ={"RUNPOD_VOLUME_ID": "bucket"})
    assert (profile.aws_profile, profile.bucket) == ("corporate", "bucket")
    assert (profile.secret_key, profile.endpoint_url) == ("", "")


def test_aws_profile_is_found_in_the_file_that_the_aws_variable_names(tmp_path: Path) -> None:
    config = tmp_path / "config"
    config.write_text("[profile sso]\nregion = eu-west-1\n")
    environ = {"AWS_CONFIG_FILE": str(config), "RUNPOD_VOLUME_ID": "b"}
    assert load_profile("sso", environ=environ).aws_profile == "sso"


def test_aws_profile_needs_a_bucket_from_the_environment(home: Path) -> None:
    _write_aws(home, "corporate")
    with pytest.raises(ConfigError, match="S3_UPLOADER_BUCKET") as caught:
        load_profile("corporate")
    assert caught.value.code == "config.aws_no_bucket"


@pytest.mark.parametrize("variable", ["AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"])
@pytest.mark.parametrize(("content", "line"), _MALFORMED)
def test_malformed_aws_file_is_named_with_the_line(
    tmp_path: Path, variable: str, content: bytes, line: int
) -> None:
    file = tmp_path / "of-aws"
    file.write_bytes(content)
    with pytest.raises(ConfigError, match=f"line {line}\\b") as caught:
        load_profile("corporate", environ={variable: str(file), "RUNPOD_VOLUME_ID": "b"})
    assert caught.value.code == "config.aws_malformed"
    assert str(file) in str(caught.value)
    assert "5ecr" not in caught.value.message("zh") + str(caught.value) + repr(caught.value)
    assert caught.value.__suppress_context__


def test_unused_aws_files_may_be_malformed(home: Path) -> None:
    _write(home, _FULL)
    (home / ".aws").mkdir()
    (home / ".aws" / "config").write_text("nonsense")
    assert load_profile().bucket == "vol1"


# --------------------------------------------------------------------------------------- secrets


def test_profile_shows_no_secret(caplog: pytest.LogCaptureFixture) -> None:
    profile = load_profile(environ=_environ(_FULL))
    with caplog.at_level(logging.DEBUG):
        logging.getLogger("s3_uploader").debug("%s %r", profile, profile)
    shown = f"{profile} {profile!r} {caplog.text}"
    assert "vol1" in shown
    assert _SECRET not in shown
    assert "user_1" not in shown


def test_errors_survive_a_process_boundary(home: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load_profile()
    again = pickle.loads(pickle.dumps(caught.value))  # noqa: S301  (our own bytes)
    assert str(again) == str(caught.value)
    assert str(home) in str(again)


def test_written_profile_is_read_back_and_private(tmp_path: Path) -> None:
    server = LocalS3Server()
    server.http_url = "http://127.0.0.1:9"
    file = tmp_path / "profile"
    file.write_text("readable by all")
    file.chmod(0o644)
    server.write_profile(file, "mine")
    profile = load_profile("mine", path=file, environ={})
    assert isinstance(profile, Profile)
    assert file.stat().st_mode & 0o777 == 0o600
    assert profile.secret_key == server.secret_key
    assert (profile.bucket, profile.endpoint_url) == (server.bucket, "http://127.0.0.1:9")
    assert profile.warnings == ()


@pytest.mark.parametrize("field", ["access_key", "secret_key", "session_token", "region"])
@pytest.mark.parametrize("value", ["schlüssel", "a\u2011b", "two words", "line\r\nx: y"])
def test_value_invalid_in_a_header_is_refused_and_not_shown(field: str, value: str) -> None:
    profile = Profile(name="p", endpoint_url="http://h", region="r", bucket="b")
    changes: dict[str, Any] = {field: value}
    with pytest.raises(ConfigError, match=field) as caught:
        replace(profile, **changes)
    assert value not in str(caught.value)
