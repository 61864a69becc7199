"""State carried over from earlier runs: orders to skip, orders to replay, schema drift."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import chain

import pyarrow as pa

from airflow_provider_ecdp.errors import ConfigurationError, EmptyExtractError
from airflow_provider_ecdp.ledger.reader import COLUMNS
from airflow_provider_ecdp.ledger.schema_drift import detect_drift
from airflow_provider_ecdp.ledger.settings import OnDrift
from airflow_provider_ecdp.ledger.store import Ledger
from airflow_provider_ecdp.orders.reader import OrderReader, SentOrders
from airflow_provider_ecdp.results.outcome import Outcome

log = logging.getLogger(__name__)

#: Why an order is not sent: this run's ledger, or that of an earlier run, lists it as accepted.
RESUMED, UNCHANGED = "resumed", "unchanged"


@dataclass(frozen=True, slots=True)
class PriorRuns:
    """Where earlier runs have kept the outcomes of orders.

    :param ledger: of this run, which may have been tried before: orders that it lists as accepted are not sent again
    :param history: of all runs: every run notes its outcomes there
    :param only_changed: whether orders that `history` has with the same content are skipped; False sends all
    :param replay: of an earlier run, or of all its mapped tasks: only the orders that failed there are read
    :param deletions: deletions over the same connection: an order whose newest row is there is sent again
    :param columns: where the columns that a run reads are kept; None is `history`, or else `ledger`
    """

    ledger: Ledger | None = None
    history: Ledger | None = None
    replay: Ledger | None = None
    columns: Ledger | None = None
    deletions: Ledger | None = None
    only_changed: bool = True

    def columns_ledger(self, on_drift: OnDrift) -> Ledger | None:
        """Return where the columns that a run reads are kept, None for nowhere.

        :raises ConfigurationError: `on_drift` is FAIL, and nothing is kept to compare with
        """
        kept = self.columns or self.history or self.ledger
        if kept is None and on_drift is OnDrift.FAIL:
            raise ConfigurationError(
                "on_drift is fail, but no folder keeps the columns of the previous run: set results_path, or "
                "results_path in the section [ecdp] of Airflow (--results, --only-changed)"
            )
        return kept


@dataclass(frozen=True, slots=True)
class CarriedOver:
    """Consequences of earlier runs for the orders of this one.

    :param sent: orders that need not be sent again
    :param only: a table of the ids to replay (column `order_id`), None without a replay
    :param resumed: whether an earlier run may have stored orders that it could not record
    :param nothing_left: whether a replay may have nothing to send: all that failed may be in other shards
    :param replayed: how many orders of the earlier run failed, in words; None without a replay
    """

    sent: tuple[SentOrders, ...] = ()
    only: pa.Table | None = None
    resumed: bool = False
    nothing_left: bool = False
    replayed: str | None = None


def carry_over(orders: OrderReader, prior: PriorRuns, on_drift: OnDrift) -> CarriedOver:
    """Return the orders that need not be sent, or are to be replayed; compare columns with those of the previous run.

    :raises ConfigurationError: there is nothing to replay, or nothing that keeps columns, where drift is a failure
    :raises ColumnsError: columns are gone or have changed, and that is a failure
    """
    columns = prior.columns_ledger(on_drift)
    if columns is not None:
        detect_drift(orders, columns, on_drift)
    # orders that an earlier try of this run skipped as unchanged do not count as sent by it
    unchanged: dict[str, str | None] = {outcome.value: UNCHANGED for outcome in Outcome if outcome.counts_as_sent}
    # sent last: the next run does not begin with orders that may have stopped this one
    unchanged[Outcome.UNRESOLVED.value] = None
    own = _sent_orders(prior.ledger, unchanged | {Outcome.ACCEPTED.value: RESUMED})
    history = _sent_orders(prior.history, unchanged, prior.deletions) if prior.only_changed else None
    sent = tuple(rows for rows in (own, history) if rows is not None)
    if prior.replay is None:
        return CarriedOver(sent, resumed=bool(sent))
    earlier = prior.replay.replayable_orders()
    if earlier is None:
        raise ConfigurationError(f"{prior.replay.path} has no results of an earlier run to replay")
    failed, total = earlier
    replayed = f"{len(failed):,} of {total:,} orders of the earlier run failed ({prior.replay.path})"
    log.info("Replaying an earlier run: %s", replayed)
    # all orders to replay may be in other shards
    nothing_left = bool(len(failed)) and orders.sharded and orders.rows != 0
    return CarriedOver(sent, failed, resumed=True, nothing_left=nothing_left, replayed=replayed)


def no_orders(orders: OrderReader, carried: CarriedOver) -> EmptyExtractError:
    """Return the error of a run that has no orders to send."""
    if carried.replayed is not None:
        return EmptyExtractError(
            f"nothing to replay: {carried.replayed}, and {orders.name} has none of the failed ones; "
            "if a run without orders is normal, allow it (on_empty, --allow-empty)"
        )
    return EmptyExtractError(
        f"{orders.name} has no orders; if a run without orders is normal, allow it (on_empty, --allow-empty)"
    )


def _sent_orders(
    ledger: Ledger | None, skip_reasons: Mapping[str, str | None], deletions: Ledger | None = None
) -> SentOrders | None:
    """Return the orders that a ledger has, unless they were deleted since; None if it has no rows."""
    rows = ledger.rows(COLUMNS) if ledger else None
    if ledger is None or rows is None:
        return None
    deleted = deletions.rows(COLUMNS) if deletions else None
    if deleted is not None:
        rows = pa.RecordBatchReader.from_batches(rows.schema, chain(rows, deleted))
    return SentOrders(rows, skip_reasons, many=ledger.large)
