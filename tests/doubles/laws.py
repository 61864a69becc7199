"""How many examples a law is tried with: few in `make test-fast`, many in `make soak`."""

from __future__ import annotations

from hypothesis import settings


def examples(count: int) -> int:
    """Scale a count of the suite by the profile of Hypothesis that is loaded."""
    return max(3, count * settings.default.max_examples // settings.get_profile("suite").max_examples)
