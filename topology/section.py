"""What all mappings of a topology file have in common: strict types, deciding words, names, units.

A section's values are checked by pydantic. Errors of ours carry their words in `message` and `hint`, so
that `explain.py` can show them as they are.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, ClassVar, NoReturn

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from topology.errors import quote
from topology.plan import BROKER, MONITOR, NAME, SMALLEST, SOURCE

RESERVED = (SOURCE, "loss", BROKER, MONITOR)
"""Names of processes and places that no group may take."""

LEAST_MEMORY_MIB = 64
"""Mebibytes without which a container is killed before it has loaded its plan."""

NEEDS = "needs"
"""Type of the error that a key is missing which another one asks for."""

_WHOLE_NAME = f"^{NAME}$"
_DURATION = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,9})?)\s*(ms|s|m|h)")
_HOST = r"[A-Za-z0-9]([A-Za-z0-9._-]{0,251}[A-Za-z0-9])?"
_MEMORY = re.compile(r"([0-9]{1,7})(m|g)")
_MEBIBYTES = {"m": 1, "g": 1024}
_SECONDS = {"ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}


def fail(message: str, hint: str = "", kind: str = "topology") -> NoReturn:
    """Refuse a value, from within a validator: `message` and `hint` reach the user as they are."""
    raise PydanticCustomError(kind, "{message}", {"message": message, "hint": hint})


def seconds(duration: str) -> float:
    """A duration such as ``250ms``, ``2s``, ``1.5m`` or ``1h`` in seconds; ValueError if it is none."""
    match = _DURATION.fullmatch(duration)
    if not match:
        raise ValueError(f"not a duration: {duration!r}")
    return float(match[1]) * _SECONDS[match[2]]


def _checked_duration(value: Any, more: str = "") -> Any:
    text = value.strip() if isinstance(value, str) else quote(value)
    if re.fullmatch(r"-?[0-9.]+(e[-+]?[0-9]+)?", text):
        fail("missing unit", f"did you mean {text}ms or {text}s?")
    if not isinstance(value, str) or not _DURATION.fullmatch(text):
        fail(f"expected a duration, got {quote(value)}", f"write 250ms, 2s, 1m or 1h{more}")
    if not 1e-3 <= seconds(text) <= 86400:
        fail(f"expected a duration between 1ms and 24h, got {quote(value)}")
    return text


def _tiny(value: float) -> float:
    if 0 < value < SMALLEST:
        fail(f"must be at least {SMALLEST:g}, got {quote(value)}", "smaller ones vanish in float32")
    return value


def _tiny_or_none(value: float) -> float:
    if 0 < value < SMALLEST:
        fail(f"must be 0, or at least {SMALLEST:g}, got {quote(value)}", "smaller ones vanish in float32")
    return value


def _duration(value: Any) -> Any:
    return _checked_duration(value)


def _interval(value: Any) -> Any:
    return value if value == "off" else _checked_duration(value, ", or off")


def _host(value: Any) -> Any:
    if isinstance(value, str) and not re.fullmatch(_HOST, value):
        fail(f"{quote(value)} is no name of a host", "write it as `docker node ls` or `hostname` does")
    return value


def _memory(value: Any) -> Any:
    match = _MEMORY.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        fail(f"expected an amount of memory, got {quote(value)}", "write 256m or 2g")
    if int(match[1]) * _MEBIBYTES[match[2]] < LEAST_MEMORY_MIB:
        fail(f"{value} is not enough to start in", f"a process needs {LEAST_MEMORY_MIB}m at least")
    return value


def is_name(text: str) -> bool:
    """Whether `text` may name a group or a topology."""
    return re.fullmatch(NAME, text) is not None


def _group_name(value: Any) -> Any:
    if isinstance(value, str) and value in RESERVED:
        fail(f"{quote(value)} is a reserved name", "choose another name for this group")
    return _name(value)


def _name(value: Any) -> Any:
    if isinstance(value, str) and not is_name(value):
        fail(f"{quote(value)} is no name", "a name is a letter, then up to 31 letters, digits, _ or -")
    return value


Name = Annotated[str, StringConstraints(pattern=_WHOLE_NAME), BeforeValidator(_name)]
GroupName = Annotated[str, StringConstraints(pattern=_WHOLE_NAME), BeforeValidator(_group_name)]
Duration = Annotated[
    str,
    BeforeValidator(_duration),
    WithJsonSchema({"type": "string", "pattern": r"^[0-9]+(\.[0-9]+)?\s*(ms|s|m|h)$"}),
]
Interval = Annotated[
    str,
    BeforeValidator(_interval),
    WithJsonSchema({"type": "string", "pattern": r"^(off|[0-9]+(\.[0-9]+)?\s*(ms|s|m|h))$"}),
]
Host = Annotated[str, BeforeValidator(_host), WithJsonSchema({"type": "string", "pattern": f"^{_HOST}$"})]
Memory = Annotated[
    str, BeforeValidator(_memory), WithJsonSchema({"type": "string", "pattern": f"^{_MEMORY.pattern}$"})
]
Count = Annotated[int, Field(ge=1, le=1_000_000)]
Stimuli = Annotated[int, Field(ge=0, le=1_000_000_000)]
Amount = Annotated[float, Field(ge=0, le=1e9)]
Threshold = Annotated[float, Field(ge=0, le=1e9), AfterValidator(_tiny_or_none)]
Share = Annotated[float, Field(ge=0, lt=1)]
Cooling = Annotated[float, Field(gt=0, le=1), AfterValidator(_tiny)]
Wanted = Annotated[float, Field(gt=0, le=1), AfterValidator(_tiny)]
Rate = Annotated[float, Field(gt=0, le=1e6), AfterValidator(_tiny)]


class Section(BaseModel):
    """A mapping of the file. Keys that its deciding word makes meaningless are errors (`only`)."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, allow_inf_nan=False, use_attribute_docstrings=True
    )

    only: ClassVar[dict[str, tuple[str, tuple[str, ...]]]] = {}
    """key -> (deciding key, words with which the key means something)."""

    needs: ClassVar[dict[tuple[str, str], str]] = {}
    """(deciding key, word) -> a key that must then be given."""

    @field_validator("*", mode="after")
    @classmethod
    def _fits(cls, value: Any, info: ValidationInfo) -> Any:
        if info.field_name in cls.only:
            key, words = cls.only[info.field_name]
            chosen = info.data.get(key)
            if chosen is not None and chosen not in words:
                fail(
                    f"{info.field_name} means nothing with {key} '{chosen}'",
                    f"remove it, or use {key} {' or '.join(words)}",
                )
        return value

    @model_validator(mode="after")
    def _whole(self) -> Section:
        for (key, word), needed in self.needs.items():
            if getattr(self, key) == word and needed not in self.model_fields_set:
                fail(f"{key} '{word}' needs {needed}", kind=NEEDS)
        return self

    def written(self) -> dict[str, Any]:
        """All values as plain maps, without those that are absent or mean nothing here."""
        plain: dict[str, Any] = {}
        for name in type(self).model_fields:
            value = getattr(self, name)
            word = self.only.get(name)
            if value is None or (word and getattr(self, word[0]) not in word[1]):
                continue
            plain[name] = value.written() if isinstance(value, Section) else value
        return plain
