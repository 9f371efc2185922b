"""Load the bucket, its endpoint and the credentials from the environment and files."""

from s3_uploader.profile.load import DEFAULT_PROFILE, PROFILE_FILE, load_profile
from s3_uploader.profile.names import VARIABLES
from s3_uploader.profile.value import Profile, check_endpoint

__all__ = [
    "DEFAULT_PROFILE",
    "PROFILE_FILE",
    "VARIABLES",
    "Profile",
    "check_endpoint",
    "load_profile",
]
