"""The figures of a run: what each is called and measured in, and how they follow from the run's summary."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from neurond.errors import RunError

if TYPE_CHECKING:
    from neurond.experiments.study import Study
    from neurond.runs import Run


class Figure(NamedTuple):
    """How a figure is told: its name, its unit, and what it is multiplied by for that unit."""

    words: str
    unit: str = ""
    scale: float = 1.0
    digits: int = 2

    @property
    def label(self) -> str:
        """Name and unit, as at an axis."""
        return f"{self.words} ({self.unit})" if self.unit else self.words

    def show(self, value: float) -> str:
        """A value of it, without its unit."""
        return f"{self.scale * value:,.{self.digits}f}"


FIGURES = {
    "test_accuracy": Figure("test accuracy", "%", 100),
    "test_error": Figure("test error", "%", 100),
    "test_loss": Figure("test loss", digits=3),
    "fit_accuracy": Figure("accuracy on the training part", "%", 100),
    "fit_loss": Figure("loss on the training part", digits=3),
    "accuracy_gap": Figure("accuracy, training less test part", "points", 100),
    "loss_gap": Figure("loss, test less training part", digits=3),
    "diverged": Figure("runs that diverged", "%", 100, 0),
    "stimuli": Figure("stimuli", digits=0),
    "train_s": Figure("time of training", "s"),
    "stimuli_per_s": Figure("stimuli a second", digits=0),
    "spikes": Figure("spikes a stimulus"),
    "notifications": Figure("notifications a stimulus"),
    "updates": Figure("weight updates a stimulus"),
    "bytes": Figure("bytes a stimulus, both ways", digits=0),
    "notifications_saved": Figure("notifications saved", "x", digits=1),
    "updates_saved": Figure("updates saved", "x", digits=1),
    "bytes_saved": Figure("bytes saved", "x", digits=1),
    "spikes_saved": Figure("spikes saved", "x", digits=1),
    "skipped": Figure("stimuli without a backward pass", "%", 100, 0),
    "staleness": Figure("mean staleness", "own updates"),
    "staleness_max": Figure("largest staleness", "own updates", digits=0),
    "expired": Figure("stimuli expired", digits=0),
    "represented": Figure("stimuli presented again", digits=0),
    "restarts": Figure("restarts", digits=0),
    "virtual_s": Figure("virtual time of the run", "s", digits=1),
    "deaths": Figure("processes that died", digits=0),
    "way": Figure("way of a weight, sum of |step|"),
    "moved": Figure("distance moved, |sum of steps|"),
    "updated": Figure("way after the threshold, sum of |update|"),
    "cancelled": Figure("steps that cancel", "%", 100, 1),
    "kept_back": Figure("way that the threshold spares", "%", 100, 1),
    "gradient_sent": Figure("sum of |sent| in that of |gradient|", "%", 100, 1),
    "gradient_cancelled": Figure("gradients of a neuron that cancel", "%", 100, 1),
}
"""Every figure by its name. Savings are against a dense pass, and each is that of training and evaluation."""

_ASIS = ("test_accuracy", "test_loss", "stimuli", "train_s", "stimuli_per_s", "staleness_max", "expired")
_COUNTED = ("spikes", "notifications", "updates", "bytes")


def figures(summary: Mapping[str, Any], outputs: int) -> dict[str, float]:
    """The figures of a run from its summary.

    A network that diverged counts as one that guesses: its accuracy is one of `outputs` classes.
    """
    diverged = summary["why"] == "diverged"
    stimuli = max(1, summary["stimuli"])
    found: dict[str, float] = {"diverged": float(diverged)}
    found |= {key: float(summary[key]) for key in _ASIS if summary.get(key) is not None}
    for key in _COUNTED:
        found[key] = summary[key] / stimuli
        found[f"{key}_saved"] = summary[f"{key}_dense"] / max(1, summary[key])
    found["skipped"] = float(summary["skipped_share"] or 0.0)
    found["staleness"] = float(summary["staleness_mean"] or 0.0)
    found["represented"] = float(summary["represented"])
    found["restarts"] = float(summary["restarts"])
    if diverged:
        found["test_accuracy"] = 1 / outputs
        found.pop("test_loss", None)
    if "test_accuracy" in found:
        found["test_error"] = 1 - found["test_accuracy"]
    return found


def figures_of(run: Run, study: Study, data_dir: str | None) -> dict[str, float]:
    """The figures of a run of a study, which may have ended by diverging; RunError if it left no summary."""
    if not run.summary:
        raise RunError("the run left no summary")
    found = figures(run.summary, run.plan.group(run.plan.source.readout).size)
    if not found["diverged"] and (study.fit or "test_accuracy" not in found):
        found |= fit(run, data_dir)
    return found


def fit(run: Run, data_dir: str | None) -> dict[str, float]:
    """How well the last weights of a run do on the training part of its data and on the test part, and the gap."""
    import numpy as np

    from neurond.data import load
    from neurond.losses import make_loss

    source = run.plan.source
    data = load(source.data, data_dir=data_dir or source.data_dir, label=source.label, test=source.test)
    readout = run.plan.group(source.readout)
    assert readout.loss is not None
    found = {}
    for part, x, y in (("fit", data.x_train, data.y_train), ("test", data.x_test, data.y_test)):
        targets = y.astype(np.float32)[:, None]
        if source.one_hot:
            targets = np.eye(source.classes, dtype=np.float32)[y.astype(np.int64)]
        outputs = run.predict(x.astype(np.float32) * np.float32(data.scale))
        loss, _, hit = make_loss(readout.loss.kind)(outputs, targets)
        found[part] = float(loss.mean()), float(hit.mean())
    (fit_loss, fit_accuracy), (test_loss, test_accuracy) = found["fit"], found["test"]
    return {
        "test_accuracy": test_accuracy,
        "test_error": 1 - test_accuracy,
        "test_loss": test_loss,
        "fit_accuracy": fit_accuracy,
        "fit_loss": fit_loss,
        "accuracy_gap": fit_accuracy - test_accuracy,
        "loss_gap": test_loss - fit_loss,
    }
