"""The laws of a push against hostile servers that are drawn from seeds; `make soak` draws thousands."""

from __future__ import annotations

import pytest
from faults_seeds import Hostility

#: Seeds of one test: few, so that a failure is found again in little time.
_EACH = 20


@pytest.mark.parametrize("first", range(0, 200, _EACH))
def test_no_law_is_broken(first):
    for seed in range(first, first + _EACH):
        Hostility(seed).play()
