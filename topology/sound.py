"""Whether a plan that was read from a file is one that we could have written."""

from __future__ import annotations

import json
from dataclasses import is_dataclass
from typing import Any, get_type_hints

from topology.plan import SOURCE, Plan, plan_from_dict


def sound_plan(text: str) -> Plan:
    """The plan that a file's text (JSON) holds; ValueError, with one line, if we could not have written it."""
    try:
        plan = plan_from_dict(json.loads(text))
        _check_types(plan)
        _check_names(plan)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"no {error}" if isinstance(error, KeyError) else str(error)) from error
    return plan


def _check_types(part: Any, where: str = "plan") -> None:
    """Raise TypeError where a value of a plan, which JSON may hold anything for, is not what its field says."""
    for name, kind in get_type_hints(type(part)).items():
        value, at = getattr(part, name), f"{where}.{name}"
        if isinstance(value, tuple):
            for i, inner in enumerate(value):
                if is_dataclass(inner):
                    _check_types(inner, f"{at}[{i}]")
                elif not isinstance(inner, str | float):
                    raise TypeError(f"{at}[{i}] cannot be {inner!r}")
        elif is_dataclass(value):
            _check_types(value, at)
        elif not isinstance(value, kind) and not (type(value) is int and isinstance(float(value), kind)):
            raise TypeError(f"{at} cannot be {value!r}")


def _check_names(plan: Plan) -> None:
    """Raise ValueError where a plan speaks of a process that it does not have, or does not have yet."""
    known = {SOURCE}
    for group in plan.groups:
        if missing := [link.pre for link in group.links_in if link.pre not in known]:
            raise ValueError(f"{group.name!r} is fed by {missing[0]!r}, which is no process before it")
        known.add(group.name)
    readout = next((g for g in plan.groups if g.name == plan.source.readout), None)
    if readout is None or readout.loss is None:
        raise ValueError(f"{plan.source.readout!r} is no readout")
