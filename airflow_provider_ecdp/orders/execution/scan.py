"""An extract as the engine sees it: an Arrow stream of the columns that a query reads, and nulls for the others."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa

from airflow_provider_ecdp.orders.engine.arrow_types import engine_array, engine_schema
from airflow_provider_ecdp.orders.sources.base import Source


class Scan:
    """An Arrow stream that can be scanned more than once, as a self-join does.

    It has all columns of the extract that the engine can read, so that every SQL text binds, and reads only `columns`:
    the others are null. `error` is the last error of the extract, of which the engine reports the text only.
    """

    def __init__(self, extract: Source, columns: list[str], names: list[str]) -> None:
        """Make a stream; nothing is read yet.

        :param columns: of the extract, those that are read
        :param names: the stream's names for the columns of `readable_schema`
        """
        own = engine_schema(extract.schema)
        self.extract = extract
        self.columns = columns
        self.own = own.names
        self.schema = pa.schema([pa.field(name, f.type) for name, f in zip(names, own, strict=True)])
        self.error: BaseException | None = None

    def __arrow_c_schema__(self) -> object:
        """Return the schema as a capsule of Arrow's C interface."""
        return self.schema.__arrow_c_schema__()

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """Return a stream that starts at the first row as a capsule of Arrow's C interface."""
        self.error = None
        reader = pa.RecordBatchReader.from_batches(self.schema, self._batches())
        return reader.__arrow_c_stream__(requested_schema)

    def _batches(self) -> Iterator[pa.RecordBatch]:
        place = {name: i for i, name in enumerate(self.columns)}
        most, nulls = -1, []
        try:
            for batch in self.extract.batches(self.columns):
                rows = batch.num_rows
                if rows > most:
                    most, nulls = (
                        rows,
                        [
                            pa.nulls(0 if n in place else rows, t)
                            for n, t in zip(self.own, self.schema.types, strict=True)
                        ],
                    )
                yield pa.RecordBatch.from_arrays(
                    [
                        engine_array(batch.column(place[name]), null.type) if name in place else null.slice(0, rows)
                        for name, null in zip(self.own, nulls, strict=True)
                    ],
                    schema=self.schema,
                )
        except GeneratorExit:
            raise
        except BaseException as error:
            # an interrupt or Airflow's timeout too: they arrive wherever the thread happens to be
            self.error = error
            raise
