"""Parameters of botocore's calls, from our values."""

from s3_uploader.checksums import ALGORITHMS, Checksum
from s3_uploader.checksums.md5 import content_md5
from s3_uploader.store.body import Body


def given(**fields: str) -> dict[str, str]:
    """Return the parameters that are not ""."""
    return {name: value for name, value in fields.items() if value}


def digests(body: Body) -> dict[str, str]:
    """Return the parameters of what a request carries of its body's digests."""
    fields = {}
    if body.content_md5:
        fields["ContentMD5"] = content_md5(body.content_md5)
    return fields | checksum_field(body.checksum)


def whole_checksum(checksum: Checksum | None) -> dict[str, str]:
    """Return the parameters of a whole object's checksum, none for None."""
    if checksum is None:
        return {}
    return checksum_field(checksum) | {"ChecksumType": ALGORITHMS[checksum.algorithm].s3_type}


def checksum_field(checksum: Checksum | None) -> dict[str, str]:
    """Return the parameter of a checksum, none for None."""
    return {} if checksum is None else {ALGORITHMS[checksum.algorithm].field: checksum.value}
