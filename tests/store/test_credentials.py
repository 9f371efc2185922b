"""A session token goes with its own key pair, and only with that, over both lanes."""

from dataclasses import replace
from pathlib import Path

import pytest

from plain_server import plain_server
from s3_uploader import ConfigError, Profile, UploadConfig, Uploader, load_profile
from s3_uploader.config import LaneChoice

_FILE = {"aws_access_key_id": "file-key", "aws_secret_access_key": "file-5ecret"}
_ENVIRONMENT = {"RUNPOD_S3_ACCESS_KEY": "env-key", "RUNPOD_S3_SECRET_KEY": "env-5ecret"}
_FILE_TOKEN = {"aws_session_token": "file-token"}
_ENVIRONMENT_TOKEN = {"RUNPOD_S3_SESSION_TOKEN": "env-token"}
_PROFILE = Profile(
    name="p", endpoint_url="http://h/", region="r", bucket="bucket", access_key="a", secret_key="s"
)


def _write(home: Path, values: dict[str, str]) -> None:
    values = {"datacenter": "US-CA-2", "volume_id": "vol1"} | values
    file = home / ".runpod_s3_config"
    file.write_text("[runpods3]\n" + "".join(f"{key} = {item}\n" for key, item in values.items()))
    file.chmod(0o600)


def _lone(profile: Profile) -> list[str]:
    return [
        str(params["token"]) for code, params in profile.warnings if code == "config.lone_token"
    ]


@pytest.mark.parametrize(
    ("file", "environment", "pair", "token", "lone"),
    [
        (_FILE | _FILE_TOKEN, {}, "file", "file-token", []),
        ({}, _ENVIRONMENT | _ENVIRONMENT_TOKEN, "env", "env-token", []),
        (_FILE | _FILE_TOKEN, _ENVIRONMENT | _ENVIRONMENT_TOKEN, "env", "env-token", []),
        (_FILE | _FILE_TOKEN, _ENVIRONMENT, "env", "", []),
        (_FILE, _ENVIRONMENT_TOKEN, "file", "", ["RUNPOD_S3_SESSION_TOKEN"]),
        (
            _FILE | _FILE_TOKEN,
            _ENVIRONMENT_TOKEN,
            "file",
            "file-token",
            ["RUNPOD_S3_SESSION_TOKEN"],
        ),
    ],
)
def test_token_belongs_to_the_key_pair_of_the_same_source(
    home: Path,
    file: dict[str, str],
    environment: dict[str, str],
    pair: str,
    token: str,
    lone: list[str],
) -> None:
    _write(home, file)
    profile = load_profile(environ=environment)
    assert (profile.access_key, profile.secret_key) == (f"{pair}-key", f"{pair}-5ecret")
    assert profile.session_token == token
    assert _lone(profile) == lone


@pytest.mark.parametrize("half", _ENVIRONMENT)
def test_key_pair_from_two_sources_has_no_token(home: Path, half: str) -> None:
    _write(home, _FILE | _FILE_TOKEN)
    profile = load_profile(environ={half: _ENVIRONMENT[half]} | _ENVIRONMENT_TOKEN)
    assert profile.session_token == ""
    places = _lone(profile)
    assert places[0] == "RUNPOD_S3_SESSION_TOKEN"
    assert places[1].startswith("aws_session_token ([runpods3] of ")


def test_blank_token_is_none(home: Path) -> None:
    _write(home, _FILE | {"aws_session_token": " "})
    profile = load_profile(environ={"RUNPOD_S3_SESSION_TOKEN": " "})
    assert (profile.session_token, profile.warnings) == ("", ())


def test_aws_profile_takes_a_token_only_with_the_pair_of_the_environment(home: Path) -> None:
    (home / ".aws").mkdir()
    (home / ".aws" / "credentials").write_text("[corporate]\naws_access_key_id = AKIA1\n")
    environ = {"RUNPOD_VOLUME_ID": "b"} | _ENVIRONMENT_TOKEN
    alone = load_profile("corporate", environ=environ)
    assert (alone.session_token, _lone(alone)) == ("", ["RUNPOD_S3_SESSION_TOKEN"])
    whole = load_profile("corporate", environ=environ | _ENVIRONMENT)
    assert (whole.access_key, whole.session_token, whole.warnings) == ("env-key", "env-token", ())
    with pytest.raises(ConfigError, match=r"RUNPOD_S3_ACCESS_KEY.*not RUNPOD_S3_SECRET_KEY"):
        load_profile("corporate", environ=environ | {"RUNPOD_S3_ACCESS_KEY": "x"})


@pytest.mark.parametrize(
    ("changes", "missing"),
    [
        ({"secret_key": ""}, "secret_key"),
        ({"access_key": ""}, "access_key"),
        ({"access_key": "", "secret_key": "", "session_token": "5ecret"}, "access_key"),
    ],
)
def test_half_a_pair_given_in_code_is_refused(changes: dict[str, str], missing: str) -> None:
    with pytest.raises(ConfigError, match=f"not {missing}") as caught:
        replace(_PROFILE, **changes)  # type: ignore[arg-type]
    assert caught.value.code == "config.half_pair"
    assert "5ecret" not in str(caught.value)


def test_token_is_shown_nowhere(home: Path) -> None:
    _write(home, _FILE | {"aws_session_token": "5ecret-token"})
    profile = load_profile(environ={})
    assert profile.session_token == "5ecret-token"
    assert "5ecret" not in f"{profile} {profile!r} {profile.settings}"


@pytest.mark.anyio
@pytest.mark.parametrize("token", ["", "our-token"])
@pytest.mark.parametrize("lane", ["auto", "boto"])
async def test_requests_carry_the_profiles_own_token_or_none(
    lane: LaneChoice, token: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """AWS_SESSION_TOKEN belongs to AWS_ACCESS_KEY_ID and never to the profile's keys."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.setenv(name, "of-aws")
    (tmp_path / "f").write_bytes(b"content")
    with plain_server() as server:
        profile = replace(_PROFILE, endpoint_url=server.url, session_token=token)
        config = UploadConfig(lane=lane, journal="off")
        async with Uploader(profile, config=config) as uploader:
            outcome = await uploader.upload_file(tmp_path / "f", "k")
    assert outcome.status == "committed"
    assert server.requests
    for headers in server.headers:
        assert headers.get("x-amz-security-token", "") == token
        assert "Credential=a/" in headers["authorization"]


@pytest.mark.anyio
@pytest.mark.parametrize("lane", ["auto", "boto"])
@pytest.mark.parametrize("place", ["profile", "variable"])
async def test_aws_endpoint_with_a_password_is_refused_and_not_shown(
    place: str,
    lane: LaneChoice,
    home: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """aioboto3 finds it, in the AWS profile or AWS_ENDPOINT_URL."""
    url = "http://user:5ecret@127.0.0.1:9"
    (home / ".aws").mkdir()
    lines = ["[profile corporate]", "aws_access_key_id = a", "aws_secret_access_key = s"]
    if place == "profile":
        lines.append(f"endpoint_url = {url}")
    else:
        monkeypatch.setenv("AWS_ENDPOINT_URL", url)
    (home / ".aws" / "config").write_text("\n".join([*lines, "region = r", ""]))
    monkeypatch.setenv("RUNPOD_VOLUME_ID", "bucket")
    (tmp_path / "f").touch()
    async with Uploader("corporate", config=UploadConfig(lane=lane, journal="off")) as uploader:
        outcome = await uploader.upload_file(tmp_path / "f", "k")
    assert (outcome.status, outcome.error) == ("failed", "config.endpoint_userinfo")
    assert "5ecret" not in f"{outcome} {outcome.message()} {caplog.text}"
