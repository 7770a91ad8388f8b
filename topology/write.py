"""A topology as YAML text that reads back equal, and the JSON Schema of the format for editors."""

from __future__ import annotations

import io
import re
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap
from ruamel.yaml.scalarstring import SingleQuotedScalarString

from topology.spec import Topology, TopologyFile

_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_./-]*")  # ruamel leaves text bare that it cannot read back, such as ?0


def dump(topology: Topology) -> str:
    """The whole topology with every default written out; `loads(dump(t)) == t`."""
    yaml = YAML(typ="rt", pure=True)
    yaml.width = 1 << 16  # one line a group's optimizer, however long
    text = io.StringIO()
    yaml.dump(_styled(topology.written()), text)
    return text.getvalue()


def json_schema() -> dict[str, Any]:
    """JSON Schema (draft 2020-12) of a topology file."""
    schema = TopologyFile.model_json_schema()
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    schema["title"] = "neurond topology"
    body = schema["properties"]["links"]["additionalProperties"]
    schema["properties"]["links"]["additionalProperties"] = {"anyOf": [body, {"type": "null"}]}
    groups = schema["properties"]["groups"]
    if "patternProperties" in groups:
        groups["additionalProperties"] = False  # a name that is no name
    for section in (schema, *schema["$defs"].values()):
        for value in section["properties"].values():
            if "$ref" in value:
                value.pop("default", None)  # a section's default is that of its keys
    return schema


def _styled(value: Any) -> Any:
    """Maps of scalars on one line, maps of maps in blocks; `$` as `$$`, since reading expands variables."""
    if isinstance(value, str):
        text = value.replace("$", "$$")
        return text if _PLAIN.fullmatch(text) else SingleQuotedScalarString(text)
    if not isinstance(value, dict):
        return value
    styled = CommentedMap((key, _styled(inner)) for key, inner in value.items())
    if not any(isinstance(inner, dict) for inner in value.values()):
        styled.fa.set_flow_style()
    return styled
