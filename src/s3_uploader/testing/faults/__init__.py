"""Faults on the way to a real S3 server: a scriptable proxy, for tests of anything that uploads."""

from s3_uploader.testing.faults.edits import (
    DropMetadata,
    MissingPart,
    RepeatToken,
    ShortPart,
    SkewDate,
    WrongETag,
)
from s3_uploader.testing.faults.effects import (
    Answer,
    ClockSkew,
    Drip,
    Effect,
    ExpireCredentials,
    FlipBit,
    LimitBody,
    LoseAnswer,
    Reset,
    Stall,
)
from s3_uploader.testing.faults.fault import Fault
from s3_uploader.testing.faults.journal import Record
from s3_uploader.testing.faults.proxy import FaultProxy, StartFaultProxy
from s3_uploader.testing.faults.spec import parse_fault

__all__ = [
    "Answer",
    "ClockSkew",
    "Drip",
    "DropMetadata",
    "Effect",
    "ExpireCredentials",
    "Fault",
    "FaultProxy",
    "FlipBit",
    "LimitBody",
    "LoseAnswer",
    "MissingPart",
    "Record",
    "RepeatToken",
    "Reset",
    "ShortPart",
    "SkewDate",
    "Stall",
    "StartFaultProxy",
    "WrongETag",
    "parse_fault",
]
