"""The tool's own names beside RunPod's: which wins, and what a warning or an error says."""

from pathlib import Path

import pytest

from s3_uploader import ConfigError, Profile, UploadConfig, load_profile
from s3_uploader.messages import LANGUAGES, text
from s3_uploader.profile import VARIABLES
from s3_uploader.providers import BY_NAME
from s3_uploader.testing import LocalS3Server

_OWN = {
    "S3_UPLOADER_ACCESS_KEY": "own-key",
    "S3_UPLOADER_SECRET_KEY": "own-5ecret",
    "S3_UPLOADER_BUCKET": "own-bucket",
    "S3_UPLOADER_REGION": "eu-west-1",
}
_RUNPODS = {
    "RUNPOD_S3_ACCESS_KEY": "user_1",
    "RUNPOD_S3_SECRET_KEY": "rps_5ecret",
    "RUNPOD_DATACENTER": "US-CA-2",
    "RUNPOD_VOLUME_ID": "vol1",
}
_SECTION = {
    "aws_access_key_id": "file-key",
    "aws_secret_access_key": "file-5ecret",
    "bucket": "file-bucket",
    "region": "fr-par",
    "endpoint_url": "https://s3.fr-par.scw.cloud/",
}
_RUNPOD_SECTION = {
    "aws_access_key_id": "user_1",
    "aws_secret_access_key": "rps_5ecret",
    "datacenter": "US-CA-2",
    "volume_id": "vol1",
}
_RUNPOD_URL = "https://s3api-us-ca-2.runpod.io/"


def _write(home: Path, values: dict[str, str]) -> Path:
    file = home / ".runpod_s3_config"
    lines = ["[runpods3]", *(f"{name} = {value}" for name, value in values.items())]
    file.write_text("\n".join(lines), encoding="utf-8")
    file.chmod(0o600)
    return file


def _where(profile: Profile) -> tuple[str, str, str]:
    return profile.endpoint_url, profile.region, profile.bucket


def _contradictions(profile: Profile) -> list[tuple[str, str]]:
    found = [params for code, params in profile.warnings if code == "config.contradiction"]
    return [(str(params["used"]), str(params["unused"])) for params in found]


# ------------------------------------------------------------------------------------ what is meant


def test_bucket_and_region_alone_are_amazon_s3() -> None:
    profile = load_profile(environ=_OWN)
    assert _where(profile) == ("https://s3.eu-west-1.amazonaws.com/", "eu-west-1", "own-bucket")
    assert (profile.access_key, profile.secret_key) == ("own-key", "own-5ecret")
    assert profile.warnings == ()


@pytest.mark.parametrize(
    ("name", "region", "url"),
    [
        ("scaleway", "fr-par", "https://s3.fr-par.scw.cloud/"),
        ("b2", "us-west-004", "https://s3.us-west-004.backblazeb2.com/"),
        ("runpod", "US-CA-2", _RUNPOD_URL),
        ("gcs", "", "https://storage.googleapis.com/"),
    ],
)
def test_named_provider_gives_the_endpoint_of_the_region(name: str, region: str, url: str) -> None:
    environ = _OWN | {"S3_UPLOADER_PROVIDER": name, "S3_UPLOADER_REGION": region}
    profile = load_profile(environ=environ)
    assert _where(profile) == (url, region or "us-east-1", "own-bucket")
    assert UploadConfig.load(profile, environ).provider_at(profile.endpoint_url) == BY_NAME[name]


def test_endpoint_needs_no_region() -> None:
    environ = _OWN | {"S3_UPLOADER_REGION": "", "S3_UPLOADER_ENDPOINT_URL": "http://127.0.0.1:9000"}
    assert _where(load_profile(environ=environ)) == (
        "http://127.0.0.1:9000",
        "us-east-1",
        "own-bucket",
    )


def test_section_may_be_of_another_store(home: Path) -> None:
    _write(home, _SECTION | {"provider": "ceph"})
    profile = load_profile(environ={})
    assert _where(profile) == ("https://s3.fr-par.scw.cloud/", "fr-par", "file-bucket")
    assert UploadConfig.load(profile, {}).provider == "ceph"


def test_section_may_leave_the_endpoint_to_its_provider(home: Path) -> None:
    values = {name: value for name, value in _SECTION.items() if name != "endpoint_url"}
    _write(home, values | {"provider": "scaleway"})
    assert load_profile(environ={}).endpoint_url == "https://s3.fr-par.scw.cloud/"
    _write(home, values | {"region": "eu-west-1"})
    assert load_profile(environ={}).endpoint_url == "https://s3.eu-west-1.amazonaws.com/"


def test_region_is_written_as_the_store_spells_it(home: Path) -> None:
    _write(home, _SECTION | {"region": "RegionOne"})
    assert load_profile(environ={}).region == "RegionOne"


def test_aws_profile_takes_the_bucket_the_region_and_the_endpoint(home: Path) -> None:
    (home / ".aws").mkdir()
    (home / ".aws" / "credentials").write_text("[corporate]\naws_access_key_id = AKIA1\n")
    environ = {"S3_UPLOADER_BUCKET": "b", "S3_UPLOADER_REGION": "eu-west-1"}
    profile = load_profile("corporate", environ=environ)
    assert _where(profile) == ("", "eu-west-1", "b")
    assert (profile.aws_profile, profile.access_key) == ("corporate", "")
    with pytest.raises(ConfigError, match=r"S3_UPLOADER_SECRET_KEY.*not S3_UPLOADER_ACCESS_KEY"):
        load_profile("corporate", environ=environ | {"S3_UPLOADER_SECRET_KEY": "5ecret"})


def test_unknown_provider_error_lists_the_known_ones(home: Path) -> None:
    with pytest.raises(ConfigError, match=r"(?s)S3_UPLOADER_PROVIDER.*auto.*minio") as caught:
        load_profile(environ=_OWN | {"S3_UPLOADER_PROVIDER": "aws-s3"})
    assert caught.value.code == "config.bad_value"
    file = _write(home, _SECTION | {"provider": "aws-s3"})
    with pytest.raises(ConfigError, match=str(file)):
        load_profile(environ={})


# ---------------------------------------------------------------------------------------- who wins


def test_own_variable_names_win_with_one_warning_about_the_others() -> None:
    environ = _RUNPODS | _OWN | {"S3_UPLOADER_ENDPOINT_URL": "https://s3.example.org/"}
    profile = load_profile(environ=environ | {"RUNPOD_S3_ENDPOINT_URL": _RUNPOD_URL})
    assert _where(profile) == ("https://s3.example.org/", "eu-west-1", "own-bucket")
    assert (profile.access_key, profile.secret_key) == ("own-key", "own-5ecret")
    [(used, unused)] = _contradictions(profile)
    assert set(used.split(", ")) == {*_OWN, "S3_UPLOADER_ENDPOINT_URL"}
    assert set(unused.split(", ")) == {*_RUNPODS, "RUNPOD_S3_ENDPOINT_URL"}
    for language in LANGUAGES:
        shown = text(language, "config.contradiction", {"used": used, "unused": unused})
        assert "5ecret" not in shown
        assert used in shown


def test_upload_from_a_pod_may_go_to_another_store(home: Path) -> None:
    """RunPod sets RUNPOD_VOLUME_ID in each pod with a volume, whatever its user means."""
    of_the_pod = {"RUNPOD_VOLUME_ID": "of-the-pod"}
    profile = load_profile(environ=_OWN | of_the_pod)
    assert _where(profile) == ("https://s3.eu-west-1.amazonaws.com/", "eu-west-1", "own-bucket")
    assert _contradictions(profile) == [("S3_UPLOADER_BUCKET", "RUNPOD_VOLUME_ID")]
    _write(home, _SECTION)
    profile = load_profile(environ=of_the_pod)
    assert _where(profile) == ("https://s3.fr-par.scw.cloud/", "fr-par", "file-bucket")
    assert _contradictions(profile) == [("bucket", "RUNPOD_VOLUME_ID")]


def test_another_volume_of_the_same_runpod_is_named_by_either() -> None:
    profile = load_profile(environ=_RUNPODS | {"S3_UPLOADER_BUCKET": "vol2"})
    assert _where(profile) == (_RUNPOD_URL, "us-ca-2", "vol2")


@pytest.mark.parametrize("variable", ["S3_UPLOADER_BUCKET", "RUNPOD_VOLUME_ID"])
def test_variable_that_replaces_a_value_of_the_file_is_no_contradiction(
    home: Path, variable: str
) -> None:
    _write(home, _RUNPOD_SECTION)
    profile = load_profile(environ={variable: "vol2"})
    assert _where(profile) == (_RUNPOD_URL, "us-ca-2", "vol2")
    assert profile.warnings == ()


def test_same_value_twice_is_no_contradiction(home: Path) -> None:
    environ = _RUNPODS | {
        "S3_UPLOADER_ACCESS_KEY": "user_1",
        "S3_UPLOADER_BUCKET": "vol1",
        "S3_UPLOADER_PROVIDER": "runpod",
        "S3_UPLOADER_REGION": "us-ca-2",
    }
    profile = load_profile(environ=environ)
    assert _where(profile) == (_RUNPOD_URL, "us-ca-2", "vol1")
    assert profile.warnings == ()
    _write(home, _RUNPOD_SECTION | {"bucket": "vol1", "region": "ignored-as-ever"})
    assert _where(load_profile(environ={})) == (_RUNPOD_URL, "us-ca-2", "vol1")
    _write(home, _RUNPOD_SECTION | {"bucket": "other"})
    assert _contradictions(load_profile(environ={})) == [("bucket", "volume_id")]


@pytest.mark.parametrize(
    ("environ", "token", "lone"),
    [
        (_OWN | {"S3_UPLOADER_SESSION_TOKEN": "own-token"}, "own-token", []),
        (_OWN | _RUNPODS | {"RUNPOD_S3_SESSION_TOKEN": "theirs"}, "", []),
        (_RUNPODS | {"S3_UPLOADER_SESSION_TOKEN": "own-token"}, "", ["S3_UPLOADER_SESSION_TOKEN"]),
        (
            _RUNPODS | {"S3_UPLOADER_ACCESS_KEY": "x", "RUNPOD_S3_SESSION_TOKEN": "theirs"},
            "",
            ["RUNPOD_S3_SESSION_TOKEN"],
        ),
    ],
)
def test_token_belongs_to_the_key_pair_of_the_same_names(
    environ: dict[str, str], token: str, lone: list[str]
) -> None:
    profile = load_profile(environ=environ)
    assert profile.session_token == token
    found = [params["token"] for code, params in profile.warnings if code == "config.lone_token"]
    assert found == lone


# ----------------------------------------------------------------------------- what an error says


@pytest.mark.parametrize(
    ("environ", "words", "others"),
    [
        ({}, [*_RUNPODS, "volume_id"], ["S3_UPLOADER_REGION"]),
        ({"RUNPOD_VOLUME_ID": "vol1"}, [*_RUNPODS], ["S3_UPLOADER_REGION"]),
        (
            {"S3_UPLOADER_BUCKET": "b"},
            ["S3_UPLOADER_ACCESS_KEY", "S3_UPLOADER_SECRET_KEY", "S3_UPLOADER_REGION", "bucket"],
            ["RUNPOD", "volume", "datacenter", "S3_UPLOADER_BUCKET"],
        ),
        (
            {"S3_UPLOADER_PROVIDER": "minio", **_OWN, "S3_UPLOADER_BUCKET": ""},
            ["S3_UPLOADER_BUCKET", "S3_UPLOADER_ENDPOINT_URL", "endpoint_url"],
            ["RUNPOD", "volume", "datacenter", "S3_UPLOADER_REGION"],
        ),
    ],
)
def test_missing_file_says_what_to_set_for_the_intended_store(
    home: Path, environ: dict[str, str], words: list[str], others: list[str]
) -> None:
    with pytest.raises(ConfigError) as caught:
        load_profile(environ=environ)
    for language in LANGUAGES:
        shown = caught.value.message(language).replace(str(home / ".runpod_s3_config"), "")
        assert [word for word in words if word not in shown] == []
        assert [word for word in others if word in shown] == []


@pytest.mark.parametrize(
    ("missing", "field", "variable"),
    [
        ("bucket", "bucket", "S3_UPLOADER_BUCKET"),
        ("aws_access_key_id", "aws_access_key_id", "S3_UPLOADER_ACCESS_KEY"),
        ("aws_secret_access_key", "aws_secret_access_key", "S3_UPLOADER_SECRET_KEY"),
    ],
)
def test_section_of_another_store_is_reported_with_its_own_names(
    home: Path, missing: str, field: str, variable: str
) -> None:
    _write(home, _SECTION | {missing: " "})
    with pytest.raises(ConfigError) as caught:
        load_profile(environ={})
    assert caught.value.code == "config.missing_key"
    assert (caught.value.params["field"], caught.value.params["variable"]) == (field, variable)


@pytest.mark.parametrize(
    ("values", "field", "variable"),
    [
        ({"provider": "aws"}, "region", "S3_UPLOADER_REGION"),
        ({"provider": "r2", "region": "auto"}, "endpoint_url", "S3_UPLOADER_ENDPOINT_URL"),
        ({"provider": "runpod"}, "datacenter", "RUNPOD_DATACENTER"),
        # Written for another store: nothing of RunPod's is there.
        ({"volume_id": "vol1", "bucket": "", "region": "us-east-1"}, "datacenter", "RUNPOD_DATA"),
    ],
)
def test_missing_place_is_asked_for_as_the_provider_names_it(
    home: Path, values: dict[str, str], field: str, variable: str
) -> None:
    _write(home, _SECTION | {"endpoint_url": "", "region": ""} | values)
    with pytest.raises(ConfigError) as caught:
        load_profile(environ={})
    assert caught.value.params["field"] == field
    assert str(caught.value.params["variable"]).startswith(variable)


@pytest.mark.parametrize("variable", ["S3_UPLOADER_ENDPOINT_URL", "RUNPOD_S3_ENDPOINT_URL"])
def test_invalid_endpoint_names_its_variable(variable: str) -> None:
    for environ in (_OWN, _RUNPODS, _OWN | {"S3_UPLOADER_PROVIDER": "minio"}):
        with pytest.raises(ConfigError, match=variable):
            load_profile(environ=environ | {variable: "http://["})


@pytest.mark.parametrize("name", ["S3_UPLOADER_ACCESS_KEY", "S3_UPLOADER_REGION"])
def test_value_invalid_in_a_header_names_its_variable(name: str) -> None:
    with pytest.raises(ConfigError, match=name) as caught:
        load_profile(environ=_OWN | {name: "5ecret wörd"})
    assert "5ecret" not in str(caught.value)


# ----------------------------------------------------------------------------------- a test server


def test_environment_of_a_test_server_excludes_every_other_store(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Else a test would upload to the store that its user has configured."""
    server = LocalS3Server()
    server.http_url = "http://127.0.0.1:9"
    for variable in VARIABLES:
        monkeypatch.setenv(variable, "https://of-the-user/" if "URL" in variable else "of-the-user")
    for variable, value in server.environ().items():
        monkeypatch.setenv(variable, value)
    profile = load_profile()
    assert _where(profile) == ("http://127.0.0.1:9", server.datacenter.lower(), server.bucket)
    assert (profile.secret_key, profile.session_token) == (server.secret_key, "")
    assert profile.warnings == ()


@pytest.mark.parametrize("provider", ["", "aws"])
def test_own_variables_that_name_a_whole_store_leave_the_sections_place_alone(
    tmp_path: Path, provider: str
) -> None:
    path = tmp_path / "config"
    path.write_text(
        "[runpods3]\nendpoint_url = https://s3api-eu-ro-1.runpod.io/\nvolume_id = volume\n"
        "datacenter = EU-RO-1\npart_size = 32MiB\n"
    )
    path.chmod(0o600)
    environ = {
        "S3_UPLOADER_ACCESS_KEY": "AK",
        "S3_UPLOADER_SECRET_KEY": "SK",
        "S3_UPLOADER_BUCKET": "bucket",
        "S3_UPLOADER_REGION": "eu-west-1",
    } | ({"S3_UPLOADER_PROVIDER": provider} if provider else {})
    profile = load_profile(path=path, environ=environ)
    assert profile.endpoint_url == "https://s3.eu-west-1.amazonaws.com/"
    assert (profile.bucket, profile.region) == ("bucket", "eu-west-1")
    assert profile.settings["part_size"] == "32MiB"
