import subprocess
import sys

import pytest

from neurond.data import DataError, describe, fetch, load


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("mnst", r"no data set 'mnst' \(known: digits, xor, mnist, .*\), did you mean 'mnist'\?"),
        ("MNIST", r"did you mean 'mnist'\?"),
        ("flowers", r"no data set 'flowers' \(known: [^)]*csv:PATH\)$"),
        ("iris.csv", r"did you mean 'csv:iris.csv'\?"),
        ("cvs:iris.csv", r"did you mean 'csv:iris.csv'\?"),
        ("csv:", r"the path of the file is missing"),
        ("npz:a\0b", r"a path has no NUL in it"),
        ("", r"no data set ''"),
        ("mnist:x", r"no data set 'mnist:x'"),
    ],
)
def test_an_unknown_data_set_gets_a_guess(spec: str, message: str) -> None:
    """The error lists what is known, and names what was probably meant."""
    for read in (load, describe):
        with pytest.raises(DataError, match=message) as e:
            read(spec)
        assert "\n" not in str(e.value)


def test_a_label_for_an_npz_is_refused() -> None:
    """A setting that would have no effect is an error, not ignored."""
    with pytest.raises(DataError, match="label 'species' is for csv"):
        load("npz:x.npz", label="species")


@pytest.mark.parametrize(
    ("name", "message"),
    [("digits", "digits is built in"), ("fashion", "did you mean 'fashion-mnist'"), ("csv:x", "no data set 'csv:x'")],
)
def test_only_what_has_a_home_can_be_fetched(name: str, message: str) -> None:
    """Fetching anything but the data sets with an address is one clear error."""
    with pytest.raises(DataError, match=message):
        fetch(name)


def test_importing_is_cheap() -> None:
    """The source daemon loads the demo's data without the modules that only fetching or other formats need."""
    heavy = {"urllib.request", "http.client", "csv", "zipfile", "difflib", "pydantic", "ruamel.yaml", "typer", "rich"}
    code = f"import numpy, sys; before = set(sys.modules); import neurond.data; neurond.data.load('digits')\n\
print(*sorted({heavy} & (set(sys.modules) - before)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
