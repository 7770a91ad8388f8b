"""The verb data: what it lists and shows, and what it makes of files that are none."""

import json
import os
from pathlib import Path

import pytest


def test_data_list_and_show(neurond) -> None:
    """What is built in is listed and shown, for people and as JSON."""
    assert {"digits", "xor", "mnist", "fashion-mnist"} <= {
        d["name"] for d in json.loads(neurond("data", "list", "--json").out)
    }
    assert "digits" in neurond("data", "list").out
    shown = json.loads(neurond("data", "show", "digits", "--json").out)
    assert shown["features"] == 64
    assert len(shown["classes"]) == 10
    assert sum(shown["classes"].values()) == shown["train"]
    assert "classes: 10" in neurond("data", "show", "digits").out


def test_data_alone_lists_its_verbs(neurond) -> None:
    """`neurond data` says what it can do, as `neurond` does."""
    said = neurond("data")
    assert said.code == 0
    assert all(f"\u2502 {verb} " in said.out for verb in ("list", "fetch", "show"))


def test_data_leads_on_with_what_was_given(neurond) -> None:
    """What is suggested next keeps the flags that were given, and can be used as it stands."""
    Path("it's $5.csv").write_text("kind,a\n" + "yes,1\nno,2\n" * 9)
    said = neurond("data", "show", "csv:it's $5.csv", "--label", "kind")
    assert said.err.endswith("source: {data: 'csv:it''s $$5.csv', label: 'kind'}\n")
    text = neurond("expand", "xor").out.replace("{data: xor", said.err.strip().split("source: ")[1][:-1])
    Path("t.yaml").write_text(text)
    assert neurond("check", "t.yaml").code == 0
    assert neurond("data", "show", "digits").err.endswith("source: {data: digits}\n")
    assert "neurond data fetch mnist --data-dir here (" in neurond("data", "list", "--data-dir", "here").out
    assert "`neurond data fetch mnist --data-dir here`" in neurond("data", "show", "mnist", "--data-dir", "here").err


@pytest.mark.parametrize(("high", "warned"), [(1, False), (1400, True)])
def test_data_show_warns_of_numbers_that_are_far_from_one(neurond, high: int, warned: bool) -> None:
    """A table is not scaled, so whoever looks at it is told where it will not train as it is."""
    Path("wine.csv").write_text("a,b,kind\n" + f"0.1,{high},x\n0.2,{-high},y\n" * 9)
    assert ("warning: numbers are taken as they are" in neurond("data", "show", "csv:wine.csv").err) is warned


def test_data_show_of_what_is_not_there(neurond) -> None:
    """No such data set, no such file: one line and 3."""
    for name in ("digit", "csv:nowhere.csv", "npz:nowhere.npz"):
        said = neurond("data", "show", name)
        assert said.code == 3
        assert len(said.err.strip().splitlines()) == 1


def test_data_show_regression(neurond) -> None:
    """Targets that are no classes are said to be regression."""
    Path("r.csv").write_text("a,b,y\n" + "\n".join(f"{i / 7},{i / 3},{i / 11}" for i in range(40)) + "\n")
    said = neurond("data", "show", "csv:r.csv", "--label", "y")
    assert said.code == 0
    assert "targets: 1 (regression)" in said.out


@pytest.mark.timeout(60)
@pytest.mark.parametrize("kind", ["csv", "npz"])
@pytest.mark.parametrize("linked", [True, False])
def test_data_that_is_no_regular_file(neurond, tmp_path: Path, kind: str, linked: bool) -> None:
    """A pipe that nobody writes to, or a device without an end, is one line and 3, not a wait for ever."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for path in (pipe, Path("/dev/zero")):
        if linked:
            (tmp_path / f"to-{path.name}").symlink_to(path)
            path = tmp_path / f"to-{path.name}"
        said = neurond("check", "digits", "--set", f"source.data={kind}:{path}")
        assert said.code == 3
        assert said.err.endswith(f"{path}: a pipe or a device, not a regular file; save what it gives as a file\n")
        assert len(said.err.splitlines()) == 1
