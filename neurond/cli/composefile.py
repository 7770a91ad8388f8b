"""YAML as compose and the engine's own `stack deploy` read it: 1.1, with variables that a dollar sign begins."""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Mapping
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.scalarstring import DoubleQuotedScalarString

_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_./-]*")
_WORDS = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null"})


class _Merge(str):
    """The key that merges another map: plain text of that spelling would be quoted."""


def _merge(representer: Any, key: _Merge) -> Any:
    return representer.represent_scalar("tag:yaml.org,2002:merge", str(key))


def written(document: CommentedMap, head: Iterable[str]) -> str:
    """A document as text, below the lines of `head` as comments."""
    yaml = YAML(typ="rt", pure=True)
    yaml.width = 1 << 16
    yaml.indent(mapping=2, sequence=4, offset=2)
    yaml.representer.add_representer(_Merge, _merge)
    text = io.StringIO()
    text.writelines(f"# {line}".rstrip() + "\n" for line in head)
    yaml.dump(document, text)
    return text.getvalue()


def merging(shared: CommentedMap, body: Mapping[str, Any]) -> CommentedMap:
    """A block with what `shared` holds and with its own."""
    return CommentedMap({_Merge("<<"): shared, **block(body)})


def block(body: Mapping[str, Any]) -> CommentedMap:
    """A mapping of a key a line, and so on within."""
    return CommentedMap((key, block(value) if type(value) is dict else value) for key, value in body.items())


def one_line(body: Mapping[str, Any]) -> CommentedMap:
    """A mapping in one line."""
    found = CommentedMap(body)
    found.fa.set_flow_style()
    return found


def words(*items: str) -> CommentedSeq:
    """A list in one line, all of it in quotes."""
    found = CommentedSeq(DoubleQuotedScalarString(item.replace("$", "$$")) for item in items)
    found.fa.set_flow_style()
    return found


def quoted(value: str) -> DoubleQuotedScalarString:
    """Text in quotes, its variables for compose to expand."""
    found: DoubleQuotedScalarString = DoubleQuotedScalarString(value)
    return found


def text(value: Any) -> Any:
    """Text of the user's, to be read as it stands: a dollar sign is no variable, and YAML 1.1 has more words."""
    if not isinstance(value, str) or (_PLAIN.fullmatch(value) and value.lower() not in _WORDS):
        return value
    return DoubleQuotedScalarString(value.replace("$", "$$"))


def explained(document: CommentedMap, comments: Mapping[str, str]) -> CommentedMap:
    """The document with a comment above each of these keys, and an empty line above that."""
    for key, comment in comments.items():
        if key in document:
            document.yaml_set_comment_before_after_key(key, before="\n" + comment)
    return document


def apart(services: CommentedMap) -> CommentedMap:
    """The services with an empty line between two."""
    for name in list(services)[1:]:
        services.yaml_set_comment_before_after_key(name, before="\n")
    return services
