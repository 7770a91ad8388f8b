"""A run that only ends when it is made to."""

from __future__ import annotations

EPOCHS = 100_000  # more than an hour of the smallest network

SETTINGS = {"source.epochs": EPOCHS}
"""For `neurond.run`."""

ENDLESS = f"source.epochs={EPOCHS}"
"""For `--set`."""
