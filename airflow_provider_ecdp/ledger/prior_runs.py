"""What earlier runs tell this one: which orders are not to be sent, and whether the extract is still the same kind."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from airflow_provider_ecdp.errors import ConfigurationError
from airflow_provider_ecdp.ledger.newest_rows import COLUMNS
from airflow_provider_ecdp.ledger.schema_drift import look_for_drift
from airflow_provider_ecdp.ledger.settings import OnDrift
from airflow_provider_ecdp.ledger.store import Ledger
from airflow_provider_ecdp.orders.reader import OrderReader
from airflow_provider_ecdp.results.outcome import Outcome

#: Why an order is not sent: this run's ledger holds it as accepted, or that of an earlier run does.
RESUMED, UNCHANGED = "resumed", "unchanged"


@dataclass(frozen=True, slots=True)
class PriorRuns:
    """Where earlier runs have kept what became of orders.

    :param ledger: of this run, which may have been tried before
    :param history: of all runs, for a run that sends only what has changed since
    :param replay: of an earlier run, or of all its mapped tasks: only the orders that failed there are read
    :param columns: where the columns that a run reads are kept; None is `history`, or else `ledger`
    """

    ledger: Ledger | None = None
    history: Ledger | None = None
    replay: Ledger | None = None
    columns: Ledger | None = None

    def of_columns(self, on_drift: OnDrift) -> Ledger | None:
        """Return where the columns that a run reads are kept, None for nowhere.

        :raises ConfigurationError: `on_drift` is FAIL, and nothing is kept to compare with
        """
        kept = self.columns or self.history or self.ledger
        if kept is None and on_drift is OnDrift.FAIL:
            raise ConfigurationError(
                "on_drift is fail, and nothing keeps the columns of the previous run: set results_path, or "
                "results_path in the section [ecdp] of Airflow (--results, --only-changed)"
            )
        return kept


@dataclass(frozen=True, slots=True)
class Learned:
    """What a run has to know of those before.

    :param resumed: whether one of them may have stored orders without an answer, or without time to record it
    :param nothing_left: whether a replay may have nothing to send
    """

    resumed: bool
    nothing_left: bool


def learn(orders: OrderReader, memory: PriorRuns, on_drift: OnDrift) -> Learned:
    """Tell `orders` what is not to be sent.

    :raises ConfigurationError: there is nothing to replay, or nothing that keeps columns, where drift is a failure
    :raises ColumnsError: columns are gone or have changed, and that is a failure
    """
    columns = memory.of_columns(on_drift)
    if columns is not None:
        look_for_drift(orders, columns, on_drift)
    # what an earlier try of this run skipped as unchanged is not counted as sent by it
    unchanged = {outcome.value: UNCHANGED for outcome in Outcome if outcome.counts_as_sent}
    own = _hold(orders, memory.ledger, unchanged | {Outcome.ACCEPTED.value: RESUMED})
    history = _hold(orders, memory.history, unchanged)
    nothing_left = False
    if memory.replay is not None:
        unfinished = memory.replay.unfinished()
        if unfinished is None:
            raise ConfigurationError(f"{memory.replay.path} holds no results of an earlier run to replay")
        orders.choose(unfinished)
        # what is left may be in other shards, all of it
        nothing_left = not len(unfinished) or (orders.sharded and orders.rows != 0)
    return Learned(own or history or memory.replay is not None, nothing_left)


def _hold(orders: OrderReader, ledger: Ledger | None, words: Mapping[str, str]) -> bool:
    """Tell `orders` what a ledger holds; whether it has any rows at all."""
    rows = ledger.rows(COLUMNS) if ledger else None
    if ledger is None or rows is None:
        return False
    orders.hold(rows, words, many=ledger.large)
    return True
