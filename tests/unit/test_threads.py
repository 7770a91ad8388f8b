from __future__ import annotations

import os
import subprocess
import sys

import pytest

from topology.threads import BLAS, blas_threads


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, ["1", "1", "1", "1"]),
        ({"MKL_NUM_THREADS": "2"}, ["1", "1", "2", "1"]),
        ({"OMP_NUM_THREADS": "4"}, ["4", "4", "4", "4"]),
        ({"OMP_NUM_THREADS": "4", "OPENBLAS_NUM_THREADS": "3"}, ["4", "3", "4", "4"]),
    ],
)
def test_what_the_user_has_set_stands(given: dict[str, str], expected: list[str]) -> None:
    """One thread a process, unless the user says otherwise; what they say of OpenMP holds for all that uses it."""
    assert list(blas_threads(given | {"HOME": "/"}).values()) == expected


def test_a_daemon_settles_it_before_numpy_loads() -> None:
    """A daemon's process has no threads of a BLAS beside its own, however many cores there are."""
    code = "import neurond.daemon, psutil, numpy; print(psutil.Process().num_threads())"
    clean = {name: value for name, value in os.environ.items() if name not in BLAS}
    done = subprocess.run([sys.executable, "-c", code], env=clean, capture_output=True, text=True, check=True)
    assert done.stdout == "1\n"
