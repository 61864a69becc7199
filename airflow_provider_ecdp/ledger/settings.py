"""Settings of the comparison with earlier runs."""

from __future__ import annotations

import enum


class OnDrift(enum.StrEnum):
    """How to treat columns that differ from the previous run's: ignore them, warn, or fail before anything is sent."""

    IGNORE = "ignore"
    WARN = "warn"
    FAIL = "fail"
