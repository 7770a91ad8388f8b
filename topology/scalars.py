"""What a YAML scalar means: variables expanded, then the core schema of YAML 1.2 (section 10.3.2).

ruamel's own resolver is not used, because it still reads ``1_000`` as a number and ``0b1`` too.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_NULL = re.compile(r"null|Null|NULL|~|")
_BOOL = re.compile(r"true|True|TRUE|false|False|FALSE")
_INT = re.compile(r"[-+]?[0-9]{1,40}")
_HEX = re.compile(r"0x[0-9a-fA-F]{1,40}|0o[0-7]{1,40}")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]{1,5})?")
_FLOAT_WORD = re.compile(r"([-+]?)\.(inf|Inf|INF)|\.(nan|NaN|NAN)")

_VARIABLE = re.compile(r"\$\$|\$\{([A-Za-z_][A-Za-z0-9_]*)(?:(:-)([^{}\n]*))?\}|\$\{")
_PLANE = 0xF0000
SHIELD = re.compile("[\U000f0000-\U000f007f]")
"""Characters of the private plane that `shielded` uses; a file must hold none of its own."""


def expand(text: str, env: Mapping[str, str]) -> str:
    """`text` with `${VAR}` and `${VAR:-default}` replaced and `$$` as `$`; a default also stands in for "".

    Raises: LookupError(message, hint) for a variable that is not set, or a `${` that is not closed.
    """

    def one(match: re.Match[str]) -> str:
        if match[0] == "$$":
            return "$"
        name, default = match[1], match[3]
        if name is None:
            raise LookupError("a `${` that is no variable", "write ${VAR} or ${VAR:-default}, or $$ for a $")
        value = env.get(name)
        if default is not None:
            return value or default
        if value is None:
            raise LookupError(f"the variable {name} is not set", f"set it or write ${{{name}:-default}}")
        return value

    return _VARIABLE.sub(one, text)


def resolved(text: str) -> Any:
    """A plain scalar as YAML 1.2's core schema reads it: null, bool, int, float or the text itself."""
    if _NULL.fullmatch(text):
        return None
    if _BOOL.fullmatch(text):
        return text.lower() == "true"
    if _INT.fullmatch(text):
        return int(text)
    if _HEX.fullmatch(text):
        return int(text, 0)
    if _FLOAT.fullmatch(text) and len(text) < 400:
        return float(text)
    word = _FLOAT_WORD.fullmatch(text)
    if word:
        return float(text.replace(".", ""))
    return text


def shielded(text: str) -> str:
    """`text` with every `${...}` moved to a private plane of Unicode, so that YAML sees no braces in it.

    Without this `{lr: ${LR:-0.1}}` would be broken YAML. Lengths stay, so that columns stay true.
    """

    def one(match: re.Match[str]) -> str:
        if match[1] is None:
            return match[0]
        return "".join(chr(_PLANE + ord(c)) if ord(c) < 128 else c for c in match[0])

    return _VARIABLE.sub(one, text)


def bare(text: str) -> str:
    """The inverse of `shielded`."""
    return SHIELD.sub(lambda c: chr(ord(c[0]) - _PLANE), text)
