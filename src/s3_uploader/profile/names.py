"""The names of a profile's values, the places where they may be set, and which place wins.

RunPod's documented variables are read besides this tool's own. Where both are set, the tool's own
win: they can be meant for nothing else, while RunPod itself sets RUNPOD_VOLUME_ID in each pod with
a volume (RunPod documentation, "Environment variables"), even if an upload is to go elsewhere. For
the same reason the section's `bucket` overrides RUNPOD_VOLUME_ID, while its `volume_id` does not.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

OWN, RUNPODS, FILE = range(3)
"""The places in order of precedence: the tool's own variable, RunPod's, the profile's section."""


@dataclass(frozen=True, slots=True)
class Name:
    """The name of a value in each place, "" where the value cannot be set."""

    own: str
    runpods: str
    key: str

    def at(self, place: int) -> str:
        """Return the name of the value in a place."""
        return (self.own, self.runpods, self.key)[place]

    def variable(self, *, runpod: bool) -> str:
        """Return the variable to suggest to a user of RunPod, or of another store."""
        return (runpod and self.runpods) or self.own or self.runpods


ACCESS_KEY = Name("S3_UPLOADER_ACCESS_KEY", "RUNPOD_S3_ACCESS_KEY", "aws_access_key_id")
SECRET_KEY = Name("S3_UPLOADER_SECRET_KEY", "RUNPOD_S3_SECRET_KEY", "aws_secret_access_key")
SESSION_TOKEN = Name("S3_UPLOADER_SESSION_TOKEN", "RUNPOD_S3_SESSION_TOKEN", "aws_session_token")
ENDPOINT_URL = Name("S3_UPLOADER_ENDPOINT_URL", "RUNPOD_S3_ENDPOINT_URL", "endpoint_url")
BUCKET = Name("S3_UPLOADER_BUCKET", "", "bucket")
VOLUME_ID = Name("", "RUNPOD_VOLUME_ID", "volume_id")
REGION = Name("S3_UPLOADER_REGION", "", "region")
DATACENTER = Name("", "RUNPOD_DATACENTER", "datacenter")
PROVIDER = Name("S3_UPLOADER_PROVIDER", "", "provider")

SECRETS = frozenset({ACCESS_KEY.key, SECRET_KEY.key, SESSION_TOKEN.key})
"""Keys of the section whose values are kept in the profile's own fields only."""

_NAMES = (
    ACCESS_KEY,
    SECRET_KEY,
    SESSION_TOKEN,
    ENDPOINT_URL,
    BUCKET,
    VOLUME_ID,
    REGION,
    DATACENTER,
)

VARIABLES = tuple(
    variable for name in (*_NAMES, PROVIDER) for variable in (name.own, name.runpods) if variable
)
"""Every variable that says where to upload."""


class Found(NamedTuple):
    """A value, its name in its place, and the place; "" and None for a value that is not set."""

    value: str
    called: str
    place: int | None


class Sources:
    """The values of the environment and of a section of the file.

    Args:
        environ: the environment.
        section: the profile's section; empty for none.
        section_origin: where the section is, for messages.
    """

    def __init__(
        self, environ: Mapping[str, str], section: Mapping[str, str], section_origin: str
    ) -> None:
        self._texts = (environ, environ, section)
        self.section = section
        self.section_origin = section_origin

    def at(self, name: Name, place: int) -> Found:
        """Return what is set in one place; a blank value counts as not set."""
        called = name.at(place)
        value = self._texts[place].get(called, "").strip() if called else ""
        return Found(value, called, place) if value else Found("", "", None)

    def find(self, *names: Name) -> Found:
        """Return the first of some names that is set anywhere, from the place that wins."""
        every = (self.at(name, place) for name in names for place in (OWN, RUNPODS, FILE))
        return next((found for found in every if found.value), Found("", "", None))

    def origin(self, found: Found) -> str:
        """Return where a value is set, for messages."""
        return self.section_origin if found.place == FILE else found.called

    def contradictions(self) -> Iterator[tuple[str, str]]:
        """Yield the names of each value that is used and of one that is not, where the two differ.

        A variable that overrides the file differs on purpose; a variable that the file or another
        variable overrides may be the one that is meant.
        """
        pairs = [(self.at(name, OWN), self.at(name, RUNPODS)) for name in _NAMES]
        pairs.append((self.find(BUCKET), self.find(VOLUME_ID)))
        pairs.append((self.at(REGION, OWN), self.at(DATACENTER, RUNPODS)))
        for used, other in pairs:
            differ = used.value and other.value and used.value.lower() != other.value.lower()
            overridden = used.place != FILE and other.place == FILE
            if differ and not overridden:
                yield used.called, other.called
