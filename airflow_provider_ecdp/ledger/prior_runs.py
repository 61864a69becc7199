"""State carried over from earlier runs: orders to skip, orders to replay, schema drift."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import chain

import pyarrow as pa

from airflow_provider_ecdp.errors import ConfigurationError, EmptyExtractError
from airflow_provider_ecdp.ledger.reader import COLUMNS
from airflow_provider_ecdp.ledger.schema_drift import look_for_drift
from airflow_provider_ecdp.ledger.settings import OnDrift
from airflow_provider_ecdp.ledger.store import Ledger
from airflow_provider_ecdp.orders.engine.tables import LAST
from airflow_provider_ecdp.orders.reader import OrderReader
from airflow_provider_ecdp.results.outcome import Outcome

log = logging.getLogger(__name__)

#: Why an order is not sent: this run's ledger holds it as accepted, or that of an earlier run does.
RESUMED, UNCHANGED = "resumed", "unchanged"


@dataclass(frozen=True, slots=True)
class PriorRuns:
    """Where earlier runs have kept the outcomes of orders.

    :param ledger: of this run, which may have been tried before
    :param history: of all runs, for a run that sends only what has changed since
    :param replay: of an earlier run, or of all its mapped tasks: only the orders that failed there are read
    :param deletions: what was deleted over the same connection: an order whose newest row is there is sent again
    :param columns: where the columns that a run reads are kept; None is `history`, or else `ledger`
    """

    ledger: Ledger | None = None
    history: Ledger | None = None
    replay: Ledger | None = None
    columns: Ledger | None = None
    deletions: Ledger | None = None

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
    :param nothing_left: whether a replay may have nothing to send: all that failed may be in other shards
    :param replayed: how many orders of the earlier run failed, None without a replay
    """

    resumed: bool
    nothing_left: bool
    replayed: str | None = None


def learn(orders: OrderReader, memory: PriorRuns, on_drift: OnDrift) -> Learned:
    """Exclude orders that need not be sent, and compare columns with those of the previous run.

    :raises ConfigurationError: there is nothing to replay, or nothing that keeps columns, where drift is a failure
    :raises ColumnsError: columns are gone or have changed, and that is a failure
    """
    columns = memory.of_columns(on_drift)
    if columns is not None:
        look_for_drift(orders, columns, on_drift)
    # what an earlier try of this run skipped as unchanged is not counted as sent by it
    unchanged = {outcome.value: UNCHANGED for outcome in Outcome if outcome.counts_as_sent}
    # what may have stopped a run is not what the next begins with
    unchanged[Outcome.UNRESOLVED.value] = LAST
    own = _hold(orders, memory.ledger, unchanged | {Outcome.ACCEPTED.value: RESUMED})
    history = _hold(orders, memory.history, unchanged, memory.deletions)
    nothing_left, replayed = False, None
    if memory.replay is not None:
        earlier = memory.replay.unfinished()
        if earlier is None:
            raise ConfigurationError(f"{memory.replay.path} holds no results of an earlier run to replay")
        failed, total = earlier
        replayed = f"{len(failed):,} of {total:,} orders of the earlier run failed ({memory.replay.path})"
        log.info("Replaying an earlier run: %s", replayed)
        orders.choose(failed)
        # what is left may be in other shards, all of it
        nothing_left = bool(len(failed)) and orders.sharded and orders.rows != 0
    return Learned(own or history or memory.replay is not None, nothing_left, replayed)


def no_orders(orders: OrderReader, learned: Learned) -> EmptyExtractError:
    """Return the error of a run that has no orders to send."""
    if learned.replayed is not None:
        return EmptyExtractError(
            f"nothing to replay: {learned.replayed}, and none of those that failed is in {orders.name}; "
            "if a run without orders is normal, allow it (on_empty, --allow-empty)"
        )
    return EmptyExtractError(
        f"{orders.name} holds no orders; if a run without orders is normal, allow it (on_empty, --allow-empty)"
    )


def _hold(
    orders: OrderReader, ledger: Ledger | None, words: Mapping[str, str], deletions: Ledger | None = None
) -> bool:
    """Exclude the orders that a ledger holds, unless they were deleted since; whether it has any rows at all."""
    rows = ledger.rows(COLUMNS) if ledger else None
    if ledger is None or rows is None:
        return False
    deleted = deletions.rows(COLUMNS) if deletions else None
    if deleted is not None:
        rows = pa.RecordBatchReader.from_batches(rows.schema, chain(rows, deleted))
    orders.hold(rows, words, many=ledger.large)
    return True
