"""Typed records from plain values, as YAML gives them, and back."""

from __future__ import annotations

import dataclasses
import types
from enum import Enum
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from psalm.errors import ConfigError

T = TypeVar("T")


def read_record(kind: type[T], values: Any, where: str) -> T:
    """Build a dataclass from a mapping of its fields.

    Parameters
    ----------
    kind : type
        A dataclass.
    values : dict
        Plain values; text stands for an enumeration or, as YAML reads ``6e-5``, for a number.
    where : str
        Names the place for messages.

    Raises
    ------
    ConfigError
        When a field is missing, unknown or of another type.
    """
    if not isinstance(values, dict):
        raise ConfigError(f"{where} must be a mapping of fields, not {type(values).__name__}.")
    hints = get_type_hints(kind)
    fields = {item.name: item for item in dataclasses.fields(kind)}  # type: ignore[arg-type]
    unknown = sorted(set(map(str, values)) - set(fields))
    if unknown:
        raise ConfigError(f"{where} has unknown fields {', '.join(unknown)}: choose among {', '.join(fields)}.")
    missing = [
        name
        for name, item in fields.items()
        if name not in values and item.default is dataclasses.MISSING and item.default_factory is dataclasses.MISSING
    ]
    if missing:
        raise ConfigError(f"{where} lacks {', '.join(missing)}: add {'them' if len(missing) > 1 else 'it'}.")
    return kind(**{name: _value(hints[name], value, f"{where}.{name}") for name, value in values.items()})


def _value(hint: Any, value: Any, where: str) -> Any:
    """Check a value against the type of its field and turn plain YAML into it."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return None if value is None else _value(arguments[0], value, where)
    if dataclasses.is_dataclass(hint):
        return read_record(hint, value, where)  # type: ignore[arg-type]
    if origin is tuple:
        if not isinstance(value, list | tuple):
            raise ConfigError(f"{where} must be a list, not {value!r}.")
        return tuple(_value(arguments[0], item, f"{where}[{index}]") for index, item in enumerate(value))
    if origin is dict:
        if not isinstance(value, dict):
            raise ConfigError(f"{where} must be a mapping, not {value!r}.")
        pairs = value.items()
        return {_value(arguments[0], key, where): _value(arguments[1], item, f"{where}.{key}") for key, item in pairs}
    if origin is Literal:
        return _choice(value, arguments, where)
    if isinstance(hint, type) and issubclass(hint, Enum):
        return hint(_choice(value, tuple(member.value for member in hint), where))
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if hint is float and isinstance(value, str):  # YAML 1.1 reads 6e-5 as text
        return _number(value, where)
    if hint is Any or (isinstance(value, hint) and not (hint is int and isinstance(value, bool))):
        return value
    raise ConfigError(f"{where} must be {hint.__name__}, not {value!r}.")


def _choice(value: Any, choices: tuple[Any, ...], where: str) -> Any:
    if value is False and "no" in choices:  # YAML 1.1 reads a bare no as false
        return "no"
    if value not in choices:
        raise ConfigError(f"{where} is {value!r}: choose one of {', '.join(map(str, choices))}.")
    return value


def _number(value: str, where: str) -> float:
    try:
        return float(value)
    except ValueError:
        raise ConfigError(f"{where} must be a number, not {value!r}.") from None


def to_plain(value: Any) -> Any:
    """Tuples as lists and enumerations as their values, throughout."""
    if isinstance(value, dict):
        return {to_plain(key): to_plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [to_plain(item) for item in value]
    return value.value if isinstance(value, Enum) else value
