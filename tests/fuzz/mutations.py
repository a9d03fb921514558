"""Changes that leave the shape whole: bytes changed at random seldom get past a parser."""

import random
from typing import Any

import atheris
from google.protobuf.descriptor import FieldDescriptor

_MOST_BYTES = 300
_NUMBERS = (
    0,
    1,
    -1,
    2,
    16,
    17,
    127,
    2**31 - 1,
    -(2**31),
    2**32 - 1,
    2**63 - 1,
    -(2**63),
    2**64 - 1,
)
_FLOATS = (0.0, -0.0, 0.001, 0.5, 1.0, 1e38, float("nan"), float("inf"), -float("inf"))
_JSON = (None, True, False, "", [], {}, 1e308, *_NUMBERS)


def mutate_json(value: Any, chance: random.Random) -> Any:
    """Return a JSON value with one thing in it changed."""
    if isinstance(value, dict) and value and chance.random() < 0.85:
        name = chance.choice(list(value))
        if chance.random() < 0.1:
            return {other: inner for other, inner in value.items() if other != name}
        return {**value, name: mutate_json(value[name], chance)}
    if isinstance(value, list) and value and chance.random() < 0.85:
        place = chance.randrange(len(value))
        if chance.random() < 0.2:
            return value[:place] + value[place:] * chance.randrange(3)
        return [*value[:place], mutate_json(value[place], chance), *value[place + 1 :]]
    if isinstance(value, str) and chance.random() < 0.7:
        return _mutated(value.encode()).decode("utf-8", "replace")
    return chance.choice(_JSON)


def mutate_message(message: Any, chance: random.Random) -> None:
    """Change one field of a protobuf message, or of one inside it."""
    field = chance.choice(list(message.DESCRIPTOR.fields))
    if field.is_repeated:
        _mutate_repeated(message, field, chance)
    elif field.message_type is not None:
        mutate_message(getattr(message, field.name), chance)
    elif chance.random() < 0.1:
        message.ClearField(field.name)
    else:
        setattr(message, field.name, _value(field, getattr(message, field.name), chance))


def _mutate_repeated(message: Any, field: FieldDescriptor, chance: random.Random) -> None:
    values = getattr(message, field.name)
    if _is_map(field):
        name = chance.choice([*values, "camera_id", "min_score", "timeout"])
        mutate_message(values[name], chance)
        return
    if chance.random() < 0.15:
        message.ClearField(field.name)
        return
    is_message = field.message_type is not None
    if not values or chance.random() < 0.2:
        if is_message:
            added = values.add()
            added.CopyFrom(values[0])
        else:
            values.append(_value(field, field.default_value or _blank(field), chance))
        return
    place = chance.randrange(len(values))
    if is_message:
        mutate_message(values[place], chance)
    else:
        values[place] = _value(field, values[place], chance)


def _is_map(field: FieldDescriptor) -> bool:
    kind = field.message_type
    return kind is not None and kind.GetOptions().map_entry


def _blank(field: FieldDescriptor) -> Any:
    return {FieldDescriptor.TYPE_BYTES: b"", FieldDescriptor.TYPE_STRING: ""}.get(field.type, 0)


def _value(field: FieldDescriptor, old: Any, chance: random.Random) -> Any:
    if field.type == FieldDescriptor.TYPE_BYTES:
        return _mutated(old)
    if field.type == FieldDescriptor.TYPE_STRING:
        return _mutated(old.encode()).decode("utf-8", "replace")
    if field.cpp_type == FieldDescriptor.CPPTYPE_BOOL:
        return not old
    if field.cpp_type in {FieldDescriptor.CPPTYPE_DOUBLE, FieldDescriptor.CPPTYPE_FLOAT}:
        return chance.choice(_FLOATS)
    low, high = _RANGES[field.cpp_type]
    return chance.choice([number for number in _NUMBERS if low <= number <= high])


_RANGES = {
    FieldDescriptor.CPPTYPE_INT32: (-(2**31), 2**31 - 1),
    FieldDescriptor.CPPTYPE_INT64: (-(2**63), 2**63 - 1),
    FieldDescriptor.CPPTYPE_UINT32: (0, 2**32 - 1),
    FieldDescriptor.CPPTYPE_UINT64: (0, 2**64 - 1),
}


def _mutated(content: bytes) -> bytes:
    return bytes(atheris.Mutate(content[:_MOST_BYTES], _MOST_BYTES))
