"""How many threads a process' linear algebra has: many processes of many threads each would fight for the cores."""

from __future__ import annotations

from collections.abc import Mapping

BLAS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
"""Environment variables that say it. They are read once, when NumPy loads its BLAS."""


def blas_threads(environment: Mapping[str, str]) -> dict[str, str]:
    """Every variable of `BLAS` and its value for a process: what the user has set stands, 1 where nothing is.

    `OMP_NUM_THREADS` speaks for the others that are not set, as it does in OpenBLAS and MKL.
    """
    default = environment.get(BLAS[0], "1")
    return {name: environment.get(name, default) for name in BLAS}
