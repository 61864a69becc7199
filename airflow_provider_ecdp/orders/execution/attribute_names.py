"""The warning for more names of attributes in one run than a business unit can define."""

from __future__ import annotations

from collections.abc import Iterable

import pyarrow as pa
import pyarrow.compute as pc

from airflow_provider_ecdp.orders.contract import MAX_ATTRIBUTE_NAMES, WARNINGS

WARNING = "many_attributes"

_RULE = f"{WARNING}: {WARNINGS[WARNING]}"


class AttributeNames:
    """The first names of attributes of each kind that a run has read; orders with other names have the warning.

    :param kinds: the lists of attributes that orders have: `orderAttributes`, `productAttributes`
    :param promoted: whether the warning makes an order invalid
    """

    def __init__(self, kinds: Iterable[str], *, promoted: bool) -> None:
        self._first: dict[str, list[str]] = {kind: [] for kind in kinds}
        self._promoted = promoted

    def __bool__(self) -> bool:
        return bool(self._first)

    def judge(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Return the batch with the warnings, or the problems, of its orders; it has the column `facts`."""
        good = batch.column("problems").is_null()
        beyond: dict[int, list[dict[str, str]]] = {}
        for kind in self._first:
            for row in self._beyond(kind, pc.struct_field(batch.column("facts"), kind), good):
                beyond.setdefault(row, []).append({"field": kind, "rule": _RULE, "got": "another name"})
        return self._with(batch, beyond) if beyond else batch

    def _beyond(self, kind: str, names: pa.ListArray, good: pa.BooleanArray) -> list[int]:
        """Return the good rows with a name that is not among the first; note those that are."""
        first = self._first[kind]
        rows = self._others(first, names, good)
        if not rows:
            return []
        for row in rows:
            if len(first) == MAX_ATTRIBUTE_NAMES:
                break
            new = sorted(set(names[row].as_py()) - {*first, None})
            room = MAX_ATTRIBUTE_NAMES - len(first)
            if len(new) <= room or not self._promoted:
                first += new[:room]
        return self._others(first, names, good)

    @staticmethod
    def _others(first: list[str], names: pa.ListArray, good: pa.BooleanArray) -> list[int]:
        flat = pc.list_flatten(names)
        others = pc.invert(pc.is_in(flat, value_set=pa.array([*first, None], flat.type)))
        if not pc.any(others).as_py():
            return []
        orders = pc.list_parent_indices(names).filter(others).unique()
        # orders that are not sent define no attribute
        rows: list[int] = orders.filter(good.take(orders)).to_pylist()
        return rows

    def _with(self, batch: pa.RecordBatch, beyond: dict[int, list[dict[str, str]]]) -> pa.RecordBatch:
        name = "problems" if self._promoted else "warnings"
        column = batch.column(name)
        texts = column.to_pylist()
        for row, more in beyond.items():
            texts[row] = [*(texts[row] or []), *more]
        batch = batch.set_column(batch.schema.get_field_index(name), name, pa.array(texts, column.type))
        if not self._promoted:
            return batch
        # an invalid order has no text
        place = batch.schema.get_field_index("json")
        json = pc.if_else(batch.column("problems").is_null(), batch.column("json"), "")
        return batch.set_column(place, "json", json.cast(batch.column("json").type))
