"""A script with the plain functions, as a user types it; checked, never run."""

from pathlib import Path
from typing import assert_type

from s3_uploader import (
    ConfigError,
    Profile,
    S3UploaderError,
    load_profile,
    upload_directory,
    upload_file,
    verify_directory,
    verify_file,
)


def publish(model: Path) -> bool:
    assert_type(upload_file(model / "config.json"), bool)
    assert_type(upload_file("model.bin", "m/model.bin", "", "runpods3", verbose=False), bool)
    counts = upload_directory(model, remote_prefix="v1", include_parent_dir=True, verbose=False)
    assert_type(counts, dict[str, int])
    assert_type(verify_file(str(model), "m"), bool)
    assert_type(verify_directory(model, models_subdir="/models"), dict[str, int])
    return counts["failed"] == 0


def bucket_of(name: str) -> str:
    try:
        profile = load_profile(name, path=Path("config.ini"), environ={"RUNPOD_VOLUME_ID": "v"})
    except ConfigError as error:
        assert_type(error.code, str)
        return error.message("zh")
    except S3UploaderError as error:
        return str(error)
    assert_type(profile, Profile)
    return profile.bucket
