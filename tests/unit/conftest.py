"""The command line in this process, for the tests of its verbs."""

import os
from pathlib import Path

import pytest

from neurond.cli import app


class Said:
    """What a command left behind."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err


@pytest.fixture
def neurond(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """The command line in this process, in an empty folder and without NEUROND_* variables."""
    for variable in [v for v in os.environ if v.startswith("NEUROND_")]:
        monkeypatch.delenv(variable)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)

    def call(*arguments: str) -> Said:
        with pytest.raises(SystemExit) as left:
            app.main(arguments)
        printed = capsys.readouterr()
        return Said(int(left.value.code or 0), printed.out, printed.err)

    return call
