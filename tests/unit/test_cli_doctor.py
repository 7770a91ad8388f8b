"""The verb doctor: what it finds of this machine."""

import json
from pathlib import Path

import pytest

from topology.threads import BLAS


def test_doctor_finds_this_machine_fit(neurond) -> None:
    """Where these tests run, nothing is broken: sockets were really tried."""
    said = neurond("doctor", "--json")
    assert said.code == 0
    findings = {f["what"]: f for f in json.loads(said.out)}
    assert {"python", "packages", "zmq", "tcp", "cores", "runs", "data digits"} <= set(findings)
    assert all(f["state"] != "broken" for f in findings.values())


def test_doctor_names_the_folder_of_runs(neurond, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Where runs would be kept is said as a path."""
    monkeypatch.setenv("NEUROND_RUNS", str(tmp_path / "kept"))
    (finding,) = (f for f in json.loads(neurond("doctor", "--json").out) if f["what"] == "runs")
    assert finding["words"].startswith(f"{tmp_path / 'kept'}, ")


def test_doctor_finds_what_is_broken(neurond, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package that is missing is named, and the exit code says that something is broken."""
    monkeypatch.setattr("neurond.cli.doctor.PACKAGES", ["numpy", "no-such-package"])
    said = neurond("doctor")
    assert said.code == 1
    assert "missing: no-such-package" in said.out
    assert "next:" not in said.err


def test_doctor_tells_of_threads(neurond, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the user has set for BLAS is said as the processes of a run will have it; without it all is well."""
    for name in BLAS:
        monkeypatch.delenv(name, raising=False)
    assert {"what": "BLAS", "state": "ok", "words": "one thread a process"} in json.loads(
        neurond("doctor", "--json").out
    )
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    monkeypatch.setenv("MKL_NUM_THREADS", "1")
    (finding,) = (f for f in json.loads(neurond("doctor", "--json").out) if f["what"] == "BLAS")
    assert finding["state"] == "note"
    for name in BLAS:
        assert (f"{name}=3" in finding["words"]) is (name != "MKL_NUM_THREADS")
