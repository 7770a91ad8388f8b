"""The verbs on a finished run: eval and predict. Both work in this process, from the last checkpoint."""

from __future__ import annotations

import csv
import io
import shlex
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from neurond.cli.output import out, out_json, suggest
from neurond.cli.topologies import DataDir

if TYPE_CHECKING:
    from neurond.data import Dataset
    from neurond.forward import Floats
    from neurond.runs import Run
    from topology.plan import Plan

RunFolder = Annotated[Path, typer.Argument(metavar="RUN", help="A run folder, such as runs/20250131-120000-digits.")]


def eval_(
    run: RunFolder,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
    data_dir: DataDir = None,
) -> None:
    """Judge a trained network by its data's test part."""
    from neurond.losses import make_loss
    from neurond.runs import open_run

    opened = open_run(run)
    data = _data(opened, data_dir)
    outputs = opened.predict(_scaled(data))
    loss, _, hit = make_loss(_readout_loss(opened.plan))(outputs, _targets(opened.plan, data))
    found: dict[str, Any] = {"run": str(run), "data": opened.plan.source.data, "stimuli": len(hit)}
    if data.classes:
        found["test_accuracy"] = round(float(hit.mean()), 6)
    found["test_loss"] = round(float(loss.mean()), 6)
    if data.classes:
        found["classes"] = {
            name: round(float(hit[data.y_test == i].mean()), 6) if (data.y_test == i).any() else None
            for i, name in enumerate(data.classes)
        }
    if as_json:
        out_json(found)
        return
    if data.classes:
        out(f"test accuracy {100 * found['test_accuracy']:.2f} %  ({int(hit.sum()):,} of {len(hit):,})")
    out(f"test loss {found['test_loss']:.4f}")
    for name, share in found.get("classes", {}).items():
        out(f"  {name}: {'not in the test part' if share is None else f'{100 * share:.1f} %'}")
    suggest(f"neurond predict {shlex.quote(str(run))} FILE")


def predict(
    run: RunFolder,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Inputs: csv, npy, npz (array x) or IDX images.")],
    as_json: Annotated[bool, typer.Option("--json", help="One JSON list, an object an input.")] = False,
) -> None:
    """Say what a trained network makes of new inputs: CSV of the class and the probability of each."""
    from neurond.data import read_inputs
    from neurond.runs import open_run

    opened = open_run(run)
    plan = opened.plan
    reading = plan.source.reading
    label = reading.label or plan.source.label
    inputs = read_inputs(file, plan.source.features, label, scale=reading.scale, columns=reading.columns)
    outputs = opened.predict(inputs)
    if plan.source.classes:
        _print_classes(reading.classes, _probabilities(plan, outputs), as_json=as_json)
    else:
        _print_outputs(outputs, as_json=as_json)


def _data(run: Run, data_dir: Path | None) -> Dataset:
    """The data set of a run, split as its source split it."""
    from neurond.data import load

    source = run.plan.source
    return load(source.data, data_dir=data_dir or source.data_dir, label=source.label, test=source.test)


def _scaled(data: Dataset) -> Floats:
    """The test inputs as the network sees them, float32 (n, features)."""
    import numpy as np

    scaled: Floats = data.x_test.astype(np.float32) * np.float32(data.scale)
    return scaled


def _targets(plan: Plan, data: Dataset) -> Floats:
    """The test targets as the loss takes them: class indices (n, 1), one-hot rows, or the numbers themselves."""
    import numpy as np

    if not data.classes:
        return data.y_test.astype(np.float32).reshape(len(data.y_test), -1)
    if plan.source.one_hot:
        return np.eye(plan.source.classes, dtype=np.float32)[data.y_test]
    return data.y_test.astype(np.float32)[:, None]


def _readout_loss(plan: Plan) -> str:
    loss = plan.group(plan.source.readout).loss
    assert loss is not None
    return loss.kind


def _probabilities(plan: Plan, outputs: Floats) -> Floats:
    """A probability a class where the loss makes the outputs log-odds; the bare outputs where it does not."""
    import numpy as np

    if _readout_loss(plan) != "cross-entropy":
        return outputs
    p: Floats = np.exp(outputs - outputs.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    return p


def _print_classes(names: tuple[str, ...], outputs: Floats, *, as_json: bool) -> None:
    best = [names[i] for i in outputs.argmax(axis=1)]
    rows = [[_rounded(x) for x in row] for row in outputs]
    if as_json:
        pairs = zip(best, rows, strict=True)
        out_json([{"class": name, "outputs": dict(zip(names, row, strict=True))} for name, row in pairs])
    else:
        _print_csv(["class", *names], ([name, *row] for name, row in zip(best, rows, strict=True)))


def _print_outputs(outputs: Floats, *, as_json: bool) -> None:
    rows = [[_rounded(x) for x in row] for row in outputs]
    if as_json:
        out_json([{"outputs": row} for row in rows])
    else:
        _print_csv(["output"] if outputs.shape[1] == 1 else [f"output{i}" for i in range(outputs.shape[1])], rows)


def _print_csv(heads: list[str], rows: Iterable[list[Any]]) -> None:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(heads)
    writer.writerows(rows)
    out(text.getvalue())


def _rounded(x: float) -> float:
    """Six digits that count: float32 has no more to say."""
    return float(f"{x:.6g}")
