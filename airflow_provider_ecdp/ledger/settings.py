"""Settings of the comparison with earlier runs."""

from __future__ import annotations

import enum


class OnDrift(enum.StrEnum):
    """What to do if columns differ from those of the previous run: ignore it, warn, or fail before anything is sent."""

    IGNORE = "ignore"
    WARN = "warn"
    FAIL = "fail"
