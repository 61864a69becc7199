"""Ids that appear more than once in an extract: found in memory that does not grow with it, unless they are many."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

import duckdb

from airflow_provider_ecdp.orders.engine.tables import (
    ID_COUNTS,
    ID_HASHES,
    REPEATED_HASHES,
    REPEATED_IDS,
    SUSPECTED_IDS,
)
from airflow_provider_ecdp.orders.sql.query import hashed_ids, repeated, repeated_hashes, suspected

#: Ids that are counted at a time, about 10 MB; but not in more parts than these, for each part reads all hashes.
_AT_A_TIME = 100_000
_PARTS = 64

#: Runs SQL for the ids of each part of an extract; the second argument is the action, for messages.
Gather = Callable[[str, str], None]


def count_ids(engine: duckdb.DuckDBPyConnection, ids: str, gather: Gather) -> int:
    """Return how many ids there are, where none appears more than once; `ids` is SQL that reads them alone."""
    engine.execute(f"CREATE OR REPLACE TEMP TABLE {ID_COUNTS} (n BIGINT)")
    gather(f"INSERT INTO {ID_COUNTS} SELECT count(*) FROM ({ids})", "counting ids")
    ((count,),) = engine.execute(f"SELECT coalesce(sum(n), 0)::BIGINT FROM {ID_COUNTS}").fetchall()
    return int(count)


def find_repeats(
    engine: duckdb.DuckDBPyConnection,
    ids: str,
    gather: Gather,
    reading: Callable[[str], AbstractContextManager[None]],
) -> tuple[int, int]:
    """Return how many ids there are, and how many of them appear more than once: those are in the table REPEATED_IDS.

    Only hashes are kept of all ids. If some of them appear more than once, the ids are read again, and those with such
    a hash are compared: two ids that happen to have the same hash do no harm.

    :param ids: SQL that reads the ids alone, as `order_id`
    """
    action = "finding ids that appear more than once"
    engine.execute(f"CREATE OR REPLACE TEMP TABLE {ID_HASHES} (id_hash UBIGINT)")
    gather(f"INSERT INTO {ID_HASHES} {hashed_ids(ids)}", action)
    engine.execute(f"CREATE OR REPLACE TEMP TABLE {REPEATED_HASHES} (id_hash UBIGINT)")
    count = len(engine.table(ID_HASHES))
    parts = min(_PARTS, count // _AT_A_TIME + 1)
    for part in range(parts):
        with reading(action):
            engine.execute(f"INSERT INTO {REPEATED_HASHES} {repeated_hashes(ID_HASHES, part, parts)}")
    engine.execute(f"DROP TABLE {ID_HASHES}")
    if not len(engine.table(REPEATED_HASHES)):
        engine.execute(f"DROP TABLE {REPEATED_HASHES}")
        return count, 0
    engine.execute(f"CREATE OR REPLACE TEMP TABLE {SUSPECTED_IDS} (order_id VARCHAR)")
    gather(f"INSERT INTO {SUSPECTED_IDS} {suspected(ids, REPEATED_HASHES)}", action)
    with reading(action):
        engine.execute(f"CREATE OR REPLACE TEMP TABLE {REPEATED_IDS} AS {repeated(SUSPECTED_IDS)}")
    engine.execute(f"DROP TABLE {SUSPECTED_IDS}")
    engine.execute(f"DROP TABLE {REPEATED_HASHES}")
    return count, len(engine.table(REPEATED_IDS))
