"""What the runs of a study have measured, in one JSON file: every single run with all its figures.

The file is written anew, whole or not at all, after every run, so that an end at any time costs that run alone.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from neurond.damaged import MOST_S, is_number, parsed
from neurond.errors import RunError
from neurond.experiments.study import Alike, Study
from neurond.runs import locked
from topology.files import write_whole

FORMAT = 1


@dataclass(frozen=True, slots=True)
class Result:
    """One run.

    Args:
        arm: its label.
        seed: of the run.
        print: of the arm (`Study.print_of`); another one there now makes the result void.
        figures: by name.
        took_s: by the wall, start and end included.
        where: number of the environment in the file's list.

    """

    arm: str
    seed: int
    print: str
    figures: Mapping[str, float]
    took_s: float = 0.0
    where: int = 0


@dataclass
class Results:
    """The results of one study, and the file that keeps them.

    Args:
        path: of the file.
        study: whose results they are.
        quick: whether the runs were short ones, that measure nothing.

    """

    path: Path
    study: Study
    quick: bool = False
    runs: list[Result] = field(default_factory=list)
    environments: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._arms = {arm.label: arm for arm in self.study.arms}
        self._prints: dict[str, str] = {}

    def print_of(self, arm: str) -> str:
        """The print of an arm as it is now; made when it is asked for, since that takes a while."""
        if arm not in self._prints:
            self._prints[arm] = self.study.print_of(self._arms[arm], quick=self.quick)
        return self._prints[arm]

    def find(self, arm: str, seed: int) -> Result | None:
        """The run of an arm with a seed, if there is one that still counts."""
        found = (r for r in self.runs if r.arm == arm and r.seed == seed and r.print == self.print_of(arm))
        return next(found, None)

    def of(self, arm: str, seeds: int | None = None) -> list[Result]:
        """The runs of an arm that count, by seed; of the first `seeds` of them."""
        of_arm = {r.seed for r in self.runs if r.arm == arm and (seeds is None or r.seed < seeds)}
        return [r for seed in sorted(of_arm) if (r := self.find(arm, seed)) is not None]

    def alike(self, seeds: int | None = None) -> list[Alike]:
        """Seed by seed, the figures of every arm that was run with it."""
        by_seed: dict[int, dict[str, Mapping[str, float]]] = {}
        for arm in self.study.arms:
            for result in self.of(arm.label, seeds):
                by_seed.setdefault(result.seed, {})[arm.label] = result.figures
        return [by_seed[seed] for seed in sorted(by_seed)]

    def add(self, result: Result) -> None:
        """Put a run in its place, and write the file; RunError if that cannot be, and then it is not there."""
        order = {arm.label: i for i, arm in enumerate(self.study.arms)}
        runs = [r for r in self.runs if r.arm in order and (r.arm, r.seed) != (result.arm, result.seed)]
        runs = sorted([*runs, result], key=lambda r: (r.seed, order[r.arm]))
        whole = {
            "format": FORMAT,
            "study": self.study.name,
            "quick": self.quick,
            "arms": {label: self.study.overrides(arm, quick=self.quick) for label, arm in self._arms.items()},
            "environments": self.environments,
            "runs": [asdict(r) for r in runs],
        }
        lines = [f'"{key}": {_json(value)}' for key, value in whole.items()]
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(self.path, ("{" + ",\n".join(lines) + "}\n").encode())
        except OSError as error:
            what = f"cannot write {self.path}: {error.strerror}"
            raise RunError(f"{what}; free some space, or choose another folder with --dir") from error
        self.runs = runs

    def here(self, environment: dict[str, Any]) -> int:
        """The number of this environment in the list; one that is there but for its time is not put there again."""

        def lasting(e: Mapping[str, Any]) -> dict[str, Any]:
            return {key: value for key, value in e.items() if key != "started"}

        for number, known in enumerate(self.environments):
            if lasting(known) == lasting(environment):
                return number
        self.environments.append(environment)
        return len(self.environments) - 1


def _json(value: Any) -> str:
    """JSON with a line for each element, as differences between two versions are read."""
    if isinstance(value, dict):
        return "{\n" + ",\n".join(f"{json.dumps(k)}: {json.dumps(v)}" for k, v in value.items()) + "\n}"
    if isinstance(value, list):
        return "[\n" + ",\n".join(map(json.dumps, value)) + "\n]"
    return json.dumps(value)


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Hold the folder of results, which is made where it is not there yet: nobody else may add to it meanwhile.

    Whoever keeps a run writes all of them, as it has read them: two would take each other's away. Raises RunError if
    somebody holds it, or if the folder or a file in it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunError(f"cannot make {folder}: {error.strerror}; choose another with --dir") from error
    try_to_write(folder, "--dir")
    with locked(folder, f"another neurond experiment is at work in {folder}; wait for it, or choose another --dir"):
        yield


def try_to_write(folder: Path, option: str) -> None:
    """Raise RunError, which names the option that chooses another, if nothing can be written into a folder."""
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(bytes(4096))  # a full disk still makes empty files
    except OSError as error:
        raise RunError(f"cannot write into {folder}: {error.strerror}; choose another with {option}") from error


def file_of(folder: Path, study: Study, *, quick: bool = False, end: str = ".json") -> Path:
    """Where something of a study is kept."""
    return folder / f"{study.name}{'.quick' if quick else ''}{end}"


def files_of(folder: Path, study: Study) -> list[Path]:
    """Every file that is, or may be, kept of a study: results and charts, of measurements and of quick runs."""
    ends = (".json", ".svg", ".png")
    return [file_of(folder, study, quick=quick, end=end) for quick in (False, True) for end in ends]


def read(folder: Path, study: Study, *, quick: bool = False) -> Results:
    """What is known of a study so far, perhaps nothing; RunError if its file cannot be used."""
    path = file_of(folder, study, quick=quick)
    results = Results(path, study, quick)
    try:
        whole = parsed(path.read_bytes())
        for key, value in {"format": FORMAT, "study": study.name, "quick": quick}.items():
            if key not in whole or whole[key] != value:
                raise ValueError(f"its {key!r} is not {value!r}")
        results.environments = [_environment(found) for found in _list(whole, "environments")]
        results.runs = [_run(found, len(results.environments)) for found in _list(whole, "runs")]
    except FileNotFoundError:
        return results
    except OSError as error:
        raise RunError(f"cannot read {path}: {error.strerror}") from error
    except ValueError as error:
        raise RunError(f"{path} is damaged: {error}; remove it, and its runs are made again") from error
    return results


def _list(whole: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    """A list of objects; ValueError if it is none, as all below raise."""
    found = whole.get(name)
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise ValueError(f"its {name!r} are no list of objects")
    return found


def _environment(found: dict[str, Any]) -> dict[str, Any]:
    """Where runs were made, as the page tells it."""
    packages = found.get("packages")
    if not isinstance(packages, dict) or not all(v is None or isinstance(v, str) for v in packages.values()):
        raise ValueError("an environment has no 'packages'")
    for key, kind in {"python": str, "platform": str, "cpus": int | None}.items():
        if key not in found or not isinstance(found[key], kind):
            raise ValueError(f"an environment has no {key!r}")
    return found


def _run(found: dict[str, Any], environments: int) -> Result:
    """A run: words are words, and numbers are in the range where means can be taken of them."""
    sound: dict[str, Callable[[Any], bool]] = {
        "arm": lambda value: isinstance(value, str),
        "seed": lambda value: is_number(value) and isinstance(value, int) and value >= 0,
        "print": lambda value: isinstance(value, str),
        "figures": lambda value: isinstance(value, dict) and all(map(is_number, value.values())),
        "took_s": lambda value: is_number(value) and 0 <= value <= MOST_S,
        "where": lambda value: is_number(value) and isinstance(value, int) and 0 <= value < environments,
    }
    for key, fits in sound.items():
        if key not in found or not fits(found[key]):
            raise ValueError(f"the {key!r} of a run is missing or cannot be")
    return Result(**{key: found[key] for key in sound})
