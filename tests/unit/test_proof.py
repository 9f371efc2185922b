"""What an ETag or a checksum proves, without a store."""

import hashlib

import pytest

from s3_uploader.checksums import (
    CRC64NVME,
    Checksum,
    composite_etag,
    expected_etag,
    is_md5,
    may_be_md5,
)
from s3_uploader.checksums.md5 import content_md5, md5_of
from s3_uploader.config import Integrity
from s3_uploader.engine.outcome.proof import prove
from s3_uploader.engine.transfer.stored import weakest
from s3_uploader.errors import IntegrityError
from s3_uploader.store import Receipt

_OURS, _OTHER = "0" * 32, "f" * 32
_CRC = Checksum("crc64nvme", "AAAAAAAAAAA=")


@pytest.mark.parametrize(
    ("etag", "expected", "opaque", "integrity", "proof"),
    [
        (_OURS, _OURS, False, "auto", "etag-md5"),
        (_OURS, _OURS, False, "md5", "etag-md5"),
        (_OURS.upper(), _OURS, False, "auto", "etag-md5"),
        (f"{_OTHER.upper()}-12", f"{_OTHER}-12", False, "md5", "etag-md5"),
        (_OURS, _OURS, False, "off", "none"),
        (_OTHER, _OURS, False, "off", "none"),
        (_OTHER, _OURS, False, "auto", "integrity.etag"),
        (f"{_OURS}-2", _OURS, False, "auto", "integrity.etag"),
        # What is no digest, or is said to be none, says nothing: also where it looks equal.
        (_OURS, _OURS, True, "auto", "size"),
        (_OURS, _OURS, True, "md5", "integrity.no_md5"),
        (_OTHER, _OURS, True, "auto", "size"),
        ("opaque", _OURS, False, "auto", "size"),
        ("opaque", _OURS, False, "md5", "integrity.no_md5"),
        # Nothing to compare it with.
        (_OURS, "", False, "auto", "size"),
        (_OURS, "", False, "md5", "integrity.no_md5"),
        ("", "", False, "auto", "size"),
    ],
)
def test_evidence_of_an_etag(
    etag: str, expected: str, *, opaque: bool, integrity: Integrity, proof: str
) -> None:
    receipt = Receipt(etag, opaque)
    if not proof.startswith("integrity."):
        assert prove(receipt, expected, integrity, "k") == proof
        return
    with pytest.raises(IntegrityError) as raised:
        prove(receipt, expected, integrity, "k")
    assert raised.value.code == proof
    assert raised.value.params["key"] == "k"
    assert raised.value.params["actual"] == etag.lower()
    assert raised.value.params.get("expected", expected) == expected
    assert ("expected" in raised.value.params) == (proof == "integrity.etag")


@pytest.mark.parametrize(
    ("returned", "integrity", "proof"),
    [
        ((_CRC,), "crc64nvme", "crc64nvme"),
        ((Checksum("other", "x"), _CRC), "crc64nvme", "crc64nvme"),
        ((), "crc64nvme", "integrity.no_checksum"),
        ((Checksum("other", _CRC.value),), "crc64nvme", "integrity.no_checksum"),
        ((Checksum("crc64nvme", "BAAAAAAAAAA="),), "crc64nvme", "integrity.checksum"),
        ((), "off", "none"),
    ],
)
def test_evidence_of_a_checksum(
    returned: tuple[Checksum, ...], integrity: Integrity, proof: str
) -> None:
    """An ETag that contradicts does not matter, nor does one that is equal help."""
    for etag in (_OURS, _OTHER):
        receipt = Receipt(etag, checksums=returned)
        if not proof.startswith("integrity."):
            assert prove(receipt, _OURS, integrity, "k", _CRC) == proof
            continue
        with pytest.raises(IntegrityError) as raised:
            prove(receipt, _OURS, integrity, "k", _CRC)
        assert raised.value.code == proof
        assert raised.value.params["key"] == "k"
        assert raised.value.params["algorithm"] == "CRC-64/NVME"
        both = {"actual": "BAAAAAAAAAA=", "expected": _CRC.value}
        named = {"key": "k", "algorithm": "CRC-64/NVME"}
        assert raised.value.params == (named | both if proof.endswith(".checksum") else named)


def test_composite_etag_is_the_md5_of_the_md5s_and_their_number() -> None:
    parts = [b"one", b"two", b"three"]
    digests = b"".join(hashlib.md5(part, usedforsecurity=False).digest() for part in parts)
    whole = hashlib.md5(digests, usedforsecurity=False).hexdigest()
    assert composite_etag(map(md5_of, parts)) == f"{whole}-3"
    assert expected_etag([md5_of(part).upper() for part in parts]) == f"{whole}-3"
    assert expected_etag([md5_of(b"one"), "opaque"]) == ""
    assert expected_etag([f"{_OURS}-1"]) == ""


@pytest.mark.parametrize(
    ("etag", "whole", "any_form"),
    [
        (_OURS, True, True),
        (_OTHER.upper(), True, True),
        (f"{_OURS}-1", False, True),
        (f"{_OURS}-10000", False, True),
        (f"{_OURS}-", False, False),
        (f"{_OURS}-x", False, False),
        (_OURS[1:], False, False),
        (f"{_OURS}0", False, False),
        ("g" * 32, False, False),
        (f"{_OURS}\n", False, False),
        ("", False, False),
    ],
)
def test_form_of_an_etag(etag: str, *, whole: bool, any_form: bool) -> None:
    assert (is_md5(etag), may_be_md5(etag)) == (whole, any_form)


def test_checksum_of_a_whole_is_that_of_its_pieces_if_each_has_one() -> None:
    pieces = [(CRC64NVME.of(b"one"), 3), (CRC64NVME.of(b""), 0), (CRC64NVME.of(b"three"), 5)]
    assert CRC64NVME.combined(pieces) == CRC64NVME.of(b"onethree")
    assert CRC64NVME.combined([*pieces, (None, 1)]) is None
    assert CRC64NVME.combined([*pieces, (Checksum("other", "AAAAAAAAAAA="), 1)]) is None
    assert CRC64NVME.combined([]) == CRC64NVME.of(b"")


def test_content_md5_is_base64_of_the_digest() -> None:
    """The example of RFC 1864 is of an empty body in every MD5 table."""
    assert content_md5(md5_of(b"")) == "1B2M2Y8AsgTpgAmY7PhCfg=="


def test_weakest_evidence_counts() -> None:
    ranked = ["none", "size", "crc64nvme", "etag-md5"]
    for stronger in range(1, 4):
        for weaker in range(stronger):
            pair = (ranked[stronger], ranked[weaker])
            assert weakest(pair) == ranked[weaker]  # type: ignore[arg-type]
            assert weakest(reversed(pair)) == ranked[weaker]  # type: ignore[arg-type]
