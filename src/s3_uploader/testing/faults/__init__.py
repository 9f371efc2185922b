"""A scriptable proxy for faults on the way to a real S3 server, to test anything that uploads."""

from s3_uploader.testing.faults.edits import (
    DropMetadata,
    MissingPart,
    RepeatToken,
    ShortPart,
    SkewDate,
    WrongETag,
)
from s3_uploader.testing.faults.effects import (
    ClockSkew,
    Combined,
    Drip,
    Effect,
    ExpireCredentials,
    FlipBit,
    LimitBody,
    LoseResponse,
    Reset,
    Respond,
    Stall,
)
from s3_uploader.testing.faults.fault import Fault
from s3_uploader.testing.faults.mutations import (
    Chunk,
    Flood,
    Header,
    Namespace,
    Pace,
    ReplaceBody,
    SetElement,
    Status,
    Truncate,
)
from s3_uploader.testing.faults.proxy import FaultProxy, StartFaultProxy
from s3_uploader.testing.faults.request_log import Record
from s3_uploader.testing.faults.spec import parse_fault

__all__ = [
    "Chunk",
    "ClockSkew",
    "Combined",
    "Drip",
    "DropMetadata",
    "Effect",
    "ExpireCredentials",
    "Fault",
    "FaultProxy",
    "FlipBit",
    "Flood",
    "Header",
    "LimitBody",
    "LoseResponse",
    "MissingPart",
    "Namespace",
    "Pace",
    "Record",
    "RepeatToken",
    "ReplaceBody",
    "Reset",
    "Respond",
    "SetElement",
    "ShortPart",
    "SkewDate",
    "Stall",
    "StartFaultProxy",
    "Status",
    "Truncate",
    "WrongETag",
    "parse_fault",
]
