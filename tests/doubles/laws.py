"""How many examples a law is tried with: few in `make test-fast`, many in `make soak`."""

from __future__ import annotations

from hypothesis import settings


def examples(count: int, *, soak: int | None = None) -> int:
    """Scale a count of the suite by the profile of Hypothesis that is loaded.

    :param soak: the count of `make soak`, where that is not 20 times as many
    """
    if soak and settings.default.max_examples == settings.get_profile("soak").max_examples:
        return soak
    return max(3, count * settings.default.max_examples // settings.get_profile("suite").max_examples)
