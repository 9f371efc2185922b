"""Each provider against its documentation, and which one a store is of."""

from dataclasses import dataclass, fields
from typing import get_args

import pytest

from s3_uploader.keys import KeyRules
from s3_uploader.providers import (
    BY_DOMAIN,
    BY_NAME,
    GENERIC,
    RUNPOD,
    Capabilities,
    Limits,
    Provider,
    ProviderChoice,
    Quirks,
    Tuning,
    is_foreign_secret,
    provider_at,
    provider_named,
)
from s3_uploader.sizes import GIB, MIB, TIB

_KB, _GB, _TB = 1000, 1000**3, 1000**4


@dataclass(frozen=True)
class Documented:
    """What a page of a provider's documentation says; 0 where it says nothing."""

    source: str
    min_part: int
    max_part: int
    max_parts: int
    max_put: int = 0
    max_object: int = 0


_DOCUMENTED = {
    "aws": Documented(
        'Amazon S3 User Guide, "Amazon S3 multipart upload limits" and "Uploading objects"',
        min_part=5 * MIB,
        max_part=5 * GIB,
        max_parts=10_000,
        max_put=5 * GIB,
        # "48.8 TiB"
        max_object=50_000 * GIB,
    ),
    "r2": Documented(
        'Cloudflare R2, "Limits" and "Multipart upload"',
        min_part=5 * MIB,
        max_part=5 * GIB - 5 * MIB,
        max_parts=10_000,
        max_put=5 * GIB - 5 * MIB,
        max_object=5 * TIB - 5 * GIB,
    ),
    "b2": Documented(
        'Backblaze B2, "Large Files"',
        min_part=5_000 * _KB,
        max_part=5 * _GB,
        max_parts=10_000,
        max_put=5 * _GB,
        max_object=10 * _TB,
    ),
    "scaleway": Documented(
        'Scaleway Object Storage, "Managing multipart uploads"',
        min_part=5_000 * _KB,
        max_part=5 * _GB,
        max_parts=1_000,
        max_object=5 * _TB,
    ),
    "gcs": Documented(
        'Cloud Storage, "Quotas & limits"',
        min_part=5 * MIB,
        max_part=5 * GIB,
        max_parts=10_000,
        max_put=5 * TIB,
        max_object=5 * TIB,
    ),
    "minio": Documented(
        'MinIO, "Thresholds and Limits"',
        min_part=5 * MIB,
        max_part=5 * GIB,
        max_parts=10_000,
        max_put=5 * TIB,
        max_object=50 * TIB,
    ),
    "ceph": Documented(
        'Ceph, "Ceph Object Gateway Config Reference": rgw_multipart_…, rgw_max_put_size',
        min_part=5 * MIB,
        max_part=5 * GIB,
        max_parts=10_000,
        max_put=5 * GIB,
    ),
    "seaweedfs": Documented(
        "SeaweedFS 4.48, its source: MaxS3MultipartParts; and measured",
        min_part=5 * MIB,
        max_part=0,
        max_parts=10_000,
    ),
    "runpod": Documented(
        'RunPod, "S3-compatible API"; seen is less',
        min_part=1,
        max_part=500 * _KB * _KB,
        max_parts=0,
        max_put=500 * _KB * _KB,
        max_object=4 * _TB,
    ),
}


def test_every_provider_has_a_row_and_a_choice() -> None:
    assert _DOCUMENTED.keys() | {"generic"} == BY_NAME.keys()
    assert set(get_args(ProviderChoice)) == {"auto", *BY_NAME}


@pytest.mark.parametrize("name", _DOCUMENTED)
def test_no_limit_allows_what_the_documentation_does_not(name: str) -> None:
    limits, documented = BY_NAME[name].limits, _DOCUMENTED[name]
    assert limits.min_part >= documented.min_part
    for of in ("max_part", "max_parts", "max_put", "max_object"):
        most = getattr(documented, of)
        assert not most or getattr(limits, of) <= most, documented.source


_BELOW_DOCUMENTATION = {
    # Seen: a proxy refuses more, and Complete fails with more parts.
    "runpod": {"max_part", "max_put", "max_object"},
    # 10,000 parts of 5 GiB end before.
    "minio": {"max_object"},
    # MiB where the page says MB, which may mean either.
    "scaleway": {"min_part"},
}


@pytest.mark.parametrize("name", _DOCUMENTED)
def test_no_limit_is_lower_than_documented_without_a_reason(name: str) -> None:
    limits, documented = BY_NAME[name].limits, _DOCUMENTED[name]
    lower = {
        of
        for of in ("min_part", "max_part", "max_parts", "max_put", "max_object")
        if getattr(documented, of) not in {0, getattr(limits, of)}
    }
    assert lower == _BELOW_DOCUMENTATION.get(name, set())


@pytest.mark.parametrize("provider", BY_NAME.values(), ids=BY_NAME)
def test_values_of_a_provider_fit_each_other(provider: Provider) -> None:
    limits, tuning = provider.limits, provider.tuning
    assert limits.min_part <= tuning.part_size <= min(limits.max_part, tuning.multipart_threshold)
    assert tuning.multipart_threshold <= limits.max_put
    assert 1 <= tuning.requests <= tuning.max_requests
    assert provider.quirks.absent_heads >= 1
    assert provider.quirks.denial_pauses
    assert provider.quirks.mismatch_pauses


def test_unknown_values_are_those_of_any_store() -> None:
    defaults = (Limits(), Tuning(), Capabilities(), Quirks(), KeyRules())
    generic = (GENERIC.limits, GENERIC.tuning, GENERIC.capabilities, GENERIC.quirks, GENERIC.keys)
    assert generic == defaults
    assert {getattr(GENERIC.capabilities, item.name) for item in fields(Capabilities)} == {None}


def test_known_values_of_each_store() -> None:
    """One line for each capability that is more than a guess; the sources stand in the files."""
    known = {
        name: {of for of in _OF if getattr(provider.capabilities, of) is True}
        for name, provider in BY_NAME.items()
    }
    assert known == {
        "aws": {"crc64nvme", "if_none_match", "copy_object", "unequal_parts", "keeps_metadata"},
        "r2": {"if_none_match", "copy_object"},
        "b2": {"copy_object", "unequal_parts"},
        "scaleway": {"if_none_match", "copy_object", "unequal_parts"},
        "seaweedfs": {
            *("crc64nvme", "if_none_match", "copy_object", "unequal_parts", "keeps_metadata")
        },
        "ceph": {"keeps_metadata"},
        "runpod": {"copy_object"},
        "gcs": set(),
        "minio": set(),
        "generic": set(),
    }
    assert BY_NAME["r2"].capabilities.unequal_parts is False
    assert RUNPOD.capabilities.keeps_metadata is False
    assert BY_NAME["gcs"].capabilities.multipart_etag == "opaque"


_OF = ("crc64nvme", "if_none_match", "copy_object", "unequal_parts", "keeps_metadata")

# --------------------------------------------------------------------------------- by the host


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://s3api-us-ca-2.runpod.io/", "runpod"),
        ("https://S3API-EU-RO-1.RunPod.IO", "runpod"),
        ("https://s3api-us-ca-2.runpod.io:8443/path", "runpod"),
        ("https://s3api-us-ca-2.runpod.io./", "runpod"),
        ("https://s3.eu-west-1.amazonaws.com", "aws"),
        ("https://bucket.s3.amazonaws.com/", "aws"),
        ("https://s3.cn-north-1.amazonaws.com.cn/", "aws"),
        ("https://0a1b.r2.cloudflarestorage.com", "r2"),
        ("https://0a1b.eu.r2.cloudflarestorage.com", "r2"),
        ("https://s3.us-west-004.backblazeb2.com", "b2"),
        ("https://s3.fr-par.scw.cloud", "scaleway"),
        ("https://storage.googleapis.com/", "gcs"),
        ("https://bucket.storage.googleapis.com/", "gcs"),
        ("http://127.0.0.1:9000", "generic"),
        ("http://[::1]:9000/", "generic"),
        ("http://minio.example.org:9000/", "generic"),
        ("", "generic"),
    ],
)
def test_provider_is_found_by_the_host(url: str, name: str) -> None:
    assert provider_at(url) is BY_NAME[name]


@pytest.mark.parametrize("domain", BY_DOMAIN)
@pytest.mark.parametrize(
    "host",
    ["evil{domain}", "{domain}.evil.com", "x.{domain}.evil.com", "s3.evil{domain}", "{domain}x"],
)
def test_host_that_only_resembles_a_provider_is_generic(domain: str, host: str) -> None:
    url = f"https://{host.format(domain=domain)}/"
    assert provider_at(url) is GENERIC
    assert provider_at(f"https://evil.com/{domain}?{domain}#.{domain}") is GENERIC


def test_unknown_provider_name_is_generic() -> None:
    assert provider_named("tiny") is GENERIC
    assert [provider_named(name).name for name in BY_NAME] == list(BY_NAME)


# --------------------------------------------------------------------------------- by the region


@pytest.mark.parametrize(
    ("name", "region", "url"),
    [
        ("runpod", "US-CA-2", "https://s3api-us-ca-2.runpod.io/"),
        ("aws", "eu-west-1", "https://s3.eu-west-1.amazonaws.com/"),
        ("b2", "us-west-004", "https://s3.us-west-004.backblazeb2.com/"),
        ("scaleway", "fr-par", "https://s3.fr-par.scw.cloud/"),
        ("gcs", "", "https://storage.googleapis.com/"),
        ("aws", "", ""),
        ("runpod", "", ""),
        # Of an account, or of somebody's own.
        *((name, "auto", "") for name in ("r2", "minio", "ceph", "seaweedfs", "generic")),
    ],
)
def test_endpoint_of_a_region_is_one_of_the_provider(name: str, region: str, url: str) -> None:
    assert BY_NAME[name].endpoint(region) == url
    assert not url or provider_at(url) is BY_NAME[name]


def test_only_runpod_has_a_list_of_its_regions() -> None:
    assert RUNPOD.knows("US-CA-2")
    assert RUNPOD.knows("us-ca-2")
    assert not RUNPOD.knows("us-east-1")
    assert all(provider.knows("anywhere-1") for provider in BY_NAME.values() if provider != RUNPOD)


# --------------------------------------------------------------------------------- what is RunPod's


def test_pod_sees_the_volumes_root_as_its_workspace() -> None:
    assert RUNPOD.where_seen("workspace/models/m") == "/workspace/workspace/models/m"
    assert {provider.where_seen("k") for provider in BY_NAME.values()} == {"", "/workspace/k"}


def test_secret_of_another_api_is_recognised_at_every_store() -> None:
    assert is_foreign_secret("rpa_5ecret")
    assert not is_foreign_secret("rps_5ecret")
    assert not is_foreign_secret("")
