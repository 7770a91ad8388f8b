"""What a user installs: wheel, sdist and editable install.

The builds use the setuptools of this environment and the installs take nothing but the wheel, so no test
here needs a package index. The dependencies come from this environment by a path file, without what else
it holds: a path file's folder is searched, its own path files (the editable install) are not read.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
import venv
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest

REPO = Path(__file__).resolve().parents[2]
PACKAGES = ("broker", "monitor", "neurond", "topology")
PROJECT = tomllib.loads((REPO / "pyproject.toml").read_text(encoding="utf-8"))["project"]


@dataclass(frozen=True, slots=True)
class Built:
    """A fresh copy of the sources, and what was built from it."""

    sources: Path
    sdist: Path
    wheel: Path


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """An sdist of the sources, and a wheel made from the sdist alone."""
    sources = tmp_path_factory.mktemp("sources") / "neurond"
    sources.mkdir()
    for package in PACKAGES:
        shutil.copytree(REPO / package, sources / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(REPO / "tests", sources / "tests", ignore=shutil.ignore_patterns("__pycache__"))
    for file in ("pyproject.toml", "MANIFEST.in", "README.md", "CHANGELOG.md", "LICENSE"):
        shutil.copy(REPO / file, sources)
    out = tmp_path_factory.mktemp("dist")
    _call([sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out), str(sources)], cwd=out)
    (sdist,) = out.glob("*.tar.gz")
    (wheel,) = out.glob("*.whl")
    return Built(sources, sdist, wheel)


@pytest.fixture(scope="module")
def installed(built: Built, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with the wheel and its dependencies; its folder of commands."""
    return _install(built.wheel, tmp_path_factory.mktemp("installed"))


def test_the_wheel_holds_every_source_file_and_no_test(built: Built) -> None:
    """The wheel holds all modules, the zoo, the embedded digits and the typing markers, and nothing else."""
    wanted = {
        path.relative_to(built.sources).as_posix()
        for package in PACKAGES
        for path in (built.sources / package).rglob("*")
        if path.is_file()
    }
    with zipfile.ZipFile(built.wheel) as wheel:
        names = {name for name in wheel.namelist() if not name.endswith("/")}
    about = {name for name in names if name.split("/")[0].endswith(".dist-info")}
    assert names - about == wanted
    assert {f"{package}/py.typed" for package in PACKAGES} <= names
    assert {"topology/zoo/digits.yaml", "topology/zoo/xor.yaml", "topology/zoo/mnist.yaml"} <= names
    assert any(name.startswith("neurond/data/") and "digits" in name and name.endswith(".gz") for name in names)
    assert any(name.endswith("/licenses/LICENSE") for name in about)


def test_the_sdist_says_what_it_is_and_holds_no_test(built: Built) -> None:
    """The sdist carries licence, changelog and README beside the sources, and no test."""
    root = f"neurond-{PROJECT['version']}"
    with tarfile.open(built.sdist) as sdist:
        names = set(sdist.getnames())
    assert {f"{root}/{name}" for name in ("LICENSE", "CHANGELOG.md", "README.md", "pyproject.toml")} <= names
    assert not [name for name in names if name.startswith(f"{root}/tests")]


def test_the_installed_packages_come_from_the_wheel(installed: Path, tmp_path: Path) -> None:
    """An environment with the wheel imports all four packages from there, whatever the working directory."""
    code = "import json, sys; print(json.dumps([__import__(n).__file__ for n in sys.argv[1:]]))"
    files = json.loads(_call([str(installed / "python"), "-c", code, *PACKAGES], cwd=tmp_path))
    assert all(Path(file).is_relative_to(installed.parent) for file in files), files


@pytest.mark.parametrize("command", [("neurond",), ("python", "-m", "neurond")], ids=" ".join)
def test_both_commands_tell_the_version(installed: Path, tmp_path: Path, command: tuple[str, ...]) -> None:
    """The console script and `python -m neurond` both start, and tell the project's version."""
    program, *arguments = command
    told = _call([str(installed / program), *arguments, "--version"], cwd=tmp_path)
    assert PROJECT["version"] in told.split()


def test_the_demo_runs_from_the_wheel(installed: Path, tmp_path: Path) -> None:
    """The digits network trains from the installed wheel, in a working directory that has no sources."""
    run = [str(installed / "neurond"), "run", "digits", "--set", "source.epochs=1", "--json"]
    result = json.loads(_call(run, cwd=tmp_path))
    assert result["test_accuracy"] > 0.5
    assert (tmp_path / result["run"] / "summary.json").is_file()


def test_an_editable_install_runs_the_sources(built: Built, tmp_path: Path) -> None:
    """An editable install starts from any folder, with the code of the source folder."""
    build = "import sys; from setuptools import build_meta; print(build_meta.build_editable(sys.argv[1]))"
    _call([sys.executable, "-c", build, str(tmp_path)], cwd=built.sources)
    (wheel,) = tmp_path.glob("*.whl")
    commands = _install(wheel, tmp_path / "environment")
    assert PROJECT["version"] in _call([str(commands / "neurond"), "--version"], cwd=tmp_path).split()
    where = _call([str(commands / "python"), "-c", "import neurond; print(neurond.__file__)"], cwd=tmp_path)
    assert Path(where.strip()).is_relative_to(built.sources)


def _install(wheel: Path, folder: Path) -> Path:
    """Makes an environment of one wheel, with the dependencies of ours; its folder of commands."""
    venv.create(folder, with_pip=False, symlinks=True)
    commands = folder / "bin"
    pip = [sys.executable, "-m", "pip", "--python", str(commands / "python")]
    _call([*pip, "install", "--quiet", "--no-index", "--no-deps", str(wheel)], cwd=folder)
    (packages,) = folder.glob("lib/python*/site-packages")
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")
    return commands


def _call(command: list[str], cwd: Path) -> str:
    """Runs a command as a user's shell would, without this environment's Python settings; its output."""
    env = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "COV_"))}
    done = subprocess.run(command, cwd=cwd, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    assert done.returncode == 0, f"{command} exited {done.returncode}:\n{done.stdout}\n{done.stderr}"
    return done.stdout
