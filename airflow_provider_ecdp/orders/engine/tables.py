"""Names of internal tables, views and columns in the engine, distinct from those of the user.

They all begin with `ecdp_`, and no name of the user's does: an extract may not have such a name, and columns with such
a name are read by other names (`catalog`) or left out (`plan`).
"""

from __future__ import annotations

PREFIX = "ecdp_"

#: The rows of an extract. Like the variables of lambdas, its name is not a column's: to the engine, `e.id` can be a
#: member of a column `e` as well.
ROWS = "ecdp_row"

#: The column in which a source notes problems that it found itself: a list of {field, rule, got}.
PROBLEMS = "ecdp_problems"

#: The column in which a mapping's SQL notes which fields differ between the lines of an order: a struct of flags.
DIFFERS = "ecdp_differs"

#: The time zones of `sql.timezones`, which the query joins where an order has one.
ZONES = "ecdp_zones"

#: Content hashes of orders that were sent before; the ids to read; ids that appear more than once, and their contents.
ACCEPTED, CHOSEN, DUPLICATES = "ecdp_accepted", "ecdp_chosen", "ecdp_duplicates"

#: Repeated ids of earlier parts; and the ids of the part just read.
READ_BEFORE, READ_NOW = "ecdp_read_before", "ecdp_read_now"

#: Rows of a ledger, and the ids of the extract, without which its rows are not kept.
LEDGER_ROWS, LEDGER_AMONG = "ecdp_ledger_rows", "ecdp_ledger_among"

#: Steps on the way to DUPLICATES.
ID_COUNTS, ID_HASHES, REPEATED_HASHES = "ecdp_id_counts", "ecdp_id_hashes", "ecdp_repeated_hashes"
SUSPECTED_IDS, REPEATED_IDS, REPEATED_CONTENTS = "ecdp_suspected_ids", "ecdp_repeated_ids", "ecdp_repeated_contents"

#: The variable that holds the text of the query whose rows are read.
QUERY = "ecdp_query"

#: Values whose hash partition is queried, and columns whose names are queried.
PARTITION_KEYS, SPELLINGS = "ecdp_partition_keys", "ecdp_spellings"


def source_table(number: int) -> str:
    """Return the name of the stream of an extract."""
    return f"ecdp_source_{number}"


def is_reserved(name: str) -> bool:
    """Whether a user's name could be one of ours; SQL names are not case-sensitive."""
    return name.lower().startswith(PREFIX)
