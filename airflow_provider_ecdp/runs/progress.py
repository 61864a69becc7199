"""Progress of a run, as passed to its callback."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run is after a number of seconds.

    :param done: orders that have an outcome
    :param failed: those of them that failed
    :param total: orders of the extract, None if they were not counted
    :param unsent: those of `done` that needed no request: accepted before, repeated, or invalid
    """

    done: int
    failed: int
    total: int | None
    seconds: float
    unsent: int = 0


#: Called in the calling thread, after each batch and every few seconds while none ends.
OnProgress = Callable[[Progress], None]


def no_progress(_: Progress) -> None:
    """Do nothing; the default callback."""
