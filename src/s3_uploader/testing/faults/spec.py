"""Read and write faults as text: `OPERATION:EFFECT[:NAME=VALUE]...[+EFFECT[:NAME=VALUE]...]...`."""

import re
from collections.abc import Iterator
from dataclasses import MISSING, Field, fields
from typing import Any, Literal, get_args, get_origin, get_type_hints

from s3_uploader.testing.faults import edits, effects, mutations
from s3_uploader.testing.faults.effects import Effect, Respond
from s3_uploader.testing.faults.fault import Fault

EFFECTS: dict[str, type[Effect]] = {
    "lose": effects.LoseResponse,
    "limit": effects.LimitBody,
    "reset": effects.Reset,
    "stall": effects.Stall,
    "drip": effects.Drip,
    "flip": effects.FlipBit,
    "etag": edits.WrongETag,
    "drop-metadata": edits.DropMetadata,
    "missing-part": edits.MissingPart,
    "short-part": edits.ShortPart,
    "repeat-token": edits.RepeatToken,
    "skew-date": edits.SkewDate,
    "clock-skew": effects.ClockSkew,
    "expire": effects.ExpireCredentials,
    "status": mutations.Status,
    "header": mutations.Header,
    "body": mutations.ReplaceBody,
    "truncate": mutations.Truncate,
    "element": mutations.SetElement,
    "namespace": mutations.Namespace,
    "chunk": mutations.Chunk,
    "pace": mutations.Pace,
    "flood": mutations.Flood,
}
"""The effects by their names in text; an HTTP status stands for `Respond`."""

_HEADER = "header."
_OPTION = re.compile(r":(?=[A-Za-z][\w.-]*=)")
"""A colon is part of a value unless a name and = follow."""

_AND = re.compile(rf"\+(?=(?:[1-9][0-9]{{2}}|{'|'.join(EFFECTS)})(?:[:+]|$))")
"""A plus is part of a value unless an effect follows."""


def parse_fault(text: str) -> Fault:
    """Return the fault that `text` describes, such as "UploadPart:503:first=2".

    EFFECT is an HTTP status or one of `EFFECTS`; the names are the attributes of the effect, then
    those of `Fault`; `header.NAME=VALUE` gives a response of the proxy a header. A + begins a
    further effect on the same request: "HeadObject:header:name=ETag+pace:first=1".

    Raises:
        ValueError: says what is wrong and what is allowed.
    """
    try:
        return _parse(text)
    except ValueError as error:
        raise ValueError(f"fault {text!r}: {error}") from None


def fault_text(fault: Fault) -> str:
    """Return the text that `parse_fault` takes; an effect not in `EFFECTS` by its class's name."""
    effects = "+".join(_effect_text(effect) for effect in fault.effect.members)
    return ":".join([fault.operation, effects, *_options(fault)])


def _effect_text(effect: Effect) -> str:
    kinds = {kind: name for name, kind in EFFECTS.items()}
    name = kinds.get(type(effect), type(effect).__name__)
    if isinstance(effect, Respond):
        name = str(effect.status)
    return ":".join([name, *_options(effect)])


def describe_effects() -> Iterator[str]:
    """Yield one line for each effect: its name in text, its options, and what it does."""
    kinds: dict[str, type[Effect]] = {"STATUS": Respond, **EFFECTS}
    for name, kind in kinds.items():
        options = ":".join(["", *(f"{field}=" for field in _names(kind))])
        yield f"{name + options:<48}{(kind.__doc__ or '').splitlines()[0]}"


def _parse(text: str) -> Fault:
    operation, colon, described = text.partition(":")
    if not colon:
        raise ValueError("allowed: OPERATION:EFFECT[:NAME=VALUE]...")
    of_fault: dict[str, Any] = {}
    first, *others = [_parse_effect(part, of_fault) for part in _AND.split(described)]
    return Fault(operation, sum(others, start=first), **of_fault)


def _parse_effect(text: str, of_fault: dict[str, Any]) -> Effect:
    """Return an effect; what its text says of the fault goes to `of_fault`."""
    name, *options = _OPTION.split(text)
    kind: type[Effect] | None = (
        Respond if re.fullmatch("[1-9][0-9]{2}", name) else EFFECTS.get(name)
    )
    if kind is None:
        raise ValueError(f"effect {name!r}: allowed: an HTTP status, {', '.join(EFFECTS)}")
    of_effect: dict[str, Any] = {"status": int(name)} if kind is Respond else {}
    for option in options:
        field, _, value = option.partition("=")
        if kind is Respond and field.startswith(_HEADER):
            of_effect.setdefault("headers", {})[field.removeprefix(_HEADER)] = value
        elif field in _names(kind):
            of_effect[field] = _value(kind, field, value)
        elif field in _names(Fault):
            of_fault[field] = _value(Fault, field, value)
        else:
            allowed = ", ".join([*_names(kind), *_names(Fault)])
            raise ValueError(f"option {field!r}: allowed with {name}: {allowed}")
    missing = [item.name for item in _fields(kind) if _needed(item) and item.name not in of_effect]
    if missing:
        raise ValueError(f"{name} needs {'=, '.join(missing)}=")
    return kind(**of_effect)


def _value(kind: type, field: str, text: str) -> Any:
    hint = get_type_hints(kind)[field]
    if get_origin(hint) is Literal:
        choices = get_args(hint)
        if text not in choices:
            raise ValueError(f"{field}={text}: allowed: {', '.join(choices)}")
        return text
    convert = next(iter(get_args(hint)), hint)
    try:
        return convert(text)
    except ValueError:
        raise ValueError(f"{field}={text}: allowed: {convert.__name__}") from None


def _options(described: Any) -> Iterator[str]:
    for item in _fields(type(described)):
        value = getattr(described, item.name)
        if item.name not in _names(type(described)):
            if item.name == "headers":
                yield from (f"{_HEADER}{name}={text}" for name, text in value.items())
        elif value != item.default:
            yield f"{item.name}={value}"


def _names(kind: type) -> list[str]:
    """Return the attributes that are written NAME=VALUE."""
    apart = {"status", "headers"} if kind is Respond else {"operation", "effect"}
    return [item.name for item in _fields(kind) if item.name not in apart]


def _fields(kind: Any) -> tuple[Field[Any], ...]:
    return fields(kind) if hasattr(kind, "__dataclass_fields__") else ()


def _needed(item: Field[Any]) -> bool:
    return item.default is MISSING and item.default_factory is MISSING
