"""The one query that shapes, checks, hashes and encodes orders.

It is written in layers, each a SELECT from the one before: `prepared` has the columns, `checked` an order's text and
problems, `hashed` adds the content hash, `outgoing` decides which orders are sent.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from airflow_provider_ecdp.orders.engine.marks import BROKEN
from airflow_provider_ecdp.orders.engine.quoting import quote_identifier, quote_literal
from airflow_provider_ecdp.orders.engine.tables import (
    ACCEPTED,
    CHOSEN,
    DIFFERS,
    DUPLICATES,
    READ_BEFORE,
    ZONES,
)
from airflow_provider_ecdp.orders.sql.encoding import (
    has_unusual_text,
    may_break_watched_rules,
    order_json,
    without_blank_text,
)
from airflow_provider_ecdp.orders.sql.fields import FieldBinding
from airflow_provider_ecdp.orders.sql.validation import Level, attribute_names

#: Members of the column `facts`: encoded values, NULL where there is none; the names of an order's attributes, and
#: those of all of its products, with NULLs and repeated names: the engine takes long to remove them.
FACTS = {"date": "VARCHAR", "status": "VARCHAR", "currency": "VARCHAR"}
FACTS |= {"orderAttributes": "VARCHAR[]", "productAttributes": "VARCHAR[]"}

#: A wrong column may have long texts where an id should be; a ledger needs no more of it.
_ID_CHARACTERS = 256

_UNENCODABLE = "[{'field': 'order', 'rule': 'an order that can be written as JSON', 'got': 'nothing'}]"
_AMBIGUOUS = (
    "[{'field': 'id', 'rule': 'one content for one id', "
    "'got': d.times || ' orders with this id and ' || d.contents || ' contents, in ' || CASE WHEN d.parts > 1 "
    "THEN d.parts || ' partitions: do the rows of an order agree in the column partition_by?' ELSE 'no order' END}]"
)

#: Columns of a table of the contents of orders with the same id.
CONTENTS = "(order_id VARCHAR, content VARCHAR, part INTEGER)"


class Duplicates(Enum):
    """Orders whose id appears more than once with the same content, as in the table DUPLICATES."""

    IN_PLACE = "in place"  #: all orders as they come; there is no table
    LEFT_OUT = "left out"
    ONLY = "only"


@dataclass(frozen=True, slots=True)
class Query:
    """The parts of the query. `source` is SQL that returns the columns of `fields`; `plain` the id at least."""

    source: str
    fields: FieldBinding
    checks: Level
    plain: str

    @property
    def ids(self) -> str:
        """SQL of the ids alone, which reads no other column."""
        return f"SELECT {_id(self.fields.nodes[0].made)} AS order_id FROM ({self.plain}\n) AS o"

    @property
    def prepared(self) -> str:
        """SQL of the columns that are used, and of those that nodes have `made`."""
        columns = [f"o.{quote_identifier(name)}" for name in self.fields.used]
        columns += [f"{node.made} AS {node.encoded.removeprefix('o.')}" for node in self.fields.made]
        if self.fields.problems:
            columns.append(self.fields.problems)
        if self.fields.differs:
            columns.append(f"o.{DIFFERS}")
        zone = self.fields.field("timeZone")
        join = f"LEFT JOIN {ZONES} ON lower({zone.raw}) = {ZONES}.name" if zone else ""
        return f"SELECT {', '.join(columns)} FROM ({self.source}\n) AS o {join}"

    def checked(self, *, facts: bool = False) -> str:
        """Return SQL of order_id, text, problems, warnings, and of facts; the engine makes those that are used."""
        broken = f"{self.checks.any_broken()} OR {may_break_watched_rules('o.ecdp_json', 'o.ecdp_unusual')}"
        problems = _problems(warning=False)
        if noted := self.fields.problems:
            # a problem of the source is the cause; that the field is missing follows from it
            fields = f"list_transform({noted}, lambda g: g.field)"
            same_field = f"len(list_filter({fields}, lambda g: g = y.field OR starts_with(g, y.field || '.'))) > 0"
            others = f"list_filter({problems}, lambda y: NOT ({same_field}))"
            problems = f"nullif(coalesce({others}, []) || {noted}, [])"
        text = f"SELECT o.*, {order_json(self.fields)} AS ecdp_json FROM ({self.prepared}) AS o"
        text = f"SELECT o.*, {has_unusual_text('o.ecdp_json')} AS ecdp_unusual FROM ({text}) AS o"
        without_blanks = f"CASE WHEN o.ecdp_unusual THEN {without_blank_text('o.ecdp_json')} ELSE o.ecdp_json END"
        # the list is built only for the rows that need it: a CASE evaluates a branch for its own rows
        rules = f"CASE WHEN {broken} THEN {self.checks.problems()} END AS ecdp_found"
        return (
            f"SELECT {_id(self.fields.nodes[0].encoded)} AS order_id, {without_blanks} AS text, "
            f"{problems} AS problems, {_problems(warning=True)} AS warnings"
            f"{f', {self._facts} AS facts' if facts else ''} FROM (SELECT o.*, {rules} FROM ({text}) AS o) AS o"
        )

    def hashed(self, *, facts: bool = False) -> str:
        """Return SQL of order_id, content_hash, text, problems, warnings, and of facts."""
        return (
            f"SELECT order_id, md5(text) AS content_hash, text{', facts' if facts else ''}, "
            f"CASE WHEN problems IS NULL AND text IS NULL THEN {_UNENCODABLE} ELSE problems END AS problems, warnings "
            f"FROM ({self.checked(facts=facts)})"
        )

    def outgoing(self, *, sent_before: bool, chosen: bool, duplicates: Duplicates, facts: bool = False) -> str:
        """Return SQL of order_id, content_hash, json, problems, warnings, skip_reason, send_last, and of facts.

        :param sent_before: whether the table ACCEPTED exists, with `skip_reason` by content, or NULL to send it last
        :param chosen: whether the table CHOSEN exists; no other orders are read
        :param facts: whether to add the column `facts`
        """
        problems, skip_reason, send_last, joins, where = "h.problems", "CAST(NULL AS VARCHAR)", "FALSE", "", "TRUE"
        if sent_before:
            joins += f" LEFT JOIN {ACCEPTED} AS a ON a.content = TRY_CAST(h.content_hash AS UUID)"
            skip_reason, send_last = "a.skip_reason", "a.content IS NOT NULL"
        if chosen:
            joins += f" SEMI JOIN {CHOSEN} AS c ON c.order_id = h.order_id"
        if duplicates is not Duplicates.IN_PLACE:
            joins += f" LEFT JOIN {DUPLICATES} AS d ON d.order_id = h.order_id"
            problems = f"CASE WHEN d.contents > 1 THEN coalesce(h.problems, []) || {_AMBIGUOUS} ELSE h.problems END"
            where = "d.contents IS NULL OR d.contents > 1"
        if duplicates is Duplicates.ONLY:
            where = "d.contents = 1"
            joins += f" LEFT JOIN (SELECT DISTINCT order_id FROM {READ_BEFORE}) AS g ON g.order_id = h.order_id"
            again = "g.order_id IS NOT NULL OR row_number() OVER (PARTITION BY h.order_id) > 1"
            skip_reason = f"coalesce({skip_reason}, CASE WHEN {again} THEN 'repeated' END)"
        return (
            "SELECT order_id, content_hash, "
            "CASE WHEN problems IS NULL AND skip_reason IS NULL THEN text || ',' ELSE '' END AS json, "
            "problems, warnings, skip_reason, send_last AND skip_reason IS NULL AS send_last"
            f"{', facts' if facts else ''} FROM (SELECT h.order_id, h.content_hash, h.text, "
            f"{problems} AS problems, h.warnings, {skip_reason} AS skip_reason, {send_last} AS send_last"
            f"{', h.facts' if facts else ''} FROM ({self.hashed(facts=facts)}) AS h {joins} WHERE {where})"
        )

    def contents(self, ids: str, part: int) -> str:
        """Return SQL of the columns of CONTENTS, of the orders whose ids are in the table `ids`."""
        return (
            # a bad value is not in the text, and still makes another content
            f"SELECT order_id, concat(content_hash, problems IS NULL), {part} "
            f"FROM ({self.hashed()}) SEMI JOIN {ids} USING (order_id)"
        )

    def too_large(self, limit: str, *, chosen: bool, duplicates: Duplicates, facts: bool = False) -> str:
        """Return SQL of the columns of `outgoing`, for orders that do not fit the engine's memory.

        :param limit: that they exceed, for the message
        """
        rule = quote_literal(f"an order that fits memory_limit (--memory-limit), which is {limit}")
        problems = f"[{{'field': 'order', 'rule': {rule}, 'got': 'a larger one'}}]"
        text = "CAST(NULL AS VARCHAR)"
        columns = f"order_id, {text} AS content_hash, '' AS json, {problems} AS problems, "
        columns += "CAST(NULL AS STRUCT(field VARCHAR, rule VARCHAR, got VARCHAR)[]) AS warnings, "
        columns += f"{text} AS skip_reason, FALSE AS send_last"
        if facts:
            members = ", ".join(f"'{name}': CAST(NULL AS {type_})" for name, type_ in FACTS.items())
            columns += f", {{{members}}} AS facts"
        join = f" SEMI JOIN {CHOSEN} USING (order_id)" if chosen else ""
        # they are not duplicates: their contents are unknown
        where = "FALSE" if duplicates is Duplicates.ONLY else "TRUE"
        return f"SELECT {columns} FROM ({self.ids}){join} WHERE {where}"

    def unread_contents(self, ids: str, part: int) -> str:
        """As `contents`, for orders that do not fit the engine's memory."""
        return f"SELECT order_id, 'not read', {part} FROM ({self.ids}) SEMI JOIN {ids} USING (order_id)"

    @property
    def _facts(self) -> str:
        """SQL of the facts that show at a glance whether these are the right orders."""
        products = self.fields.field("products")
        values = {name: node.encoded for name in FACTS if (node := self.fields.field(name))}
        if attributes := self.fields.field("orderAttributes"):
            values["orderAttributes"] = attribute_names(attributes)
        if products and products.child("productAttributes"):
            values["productAttributes"] = attribute_names(products)
        members = [f"'{name}': CAST({values.get(name, 'NULL')} AS {type_})" for name, type_ in FACTS.items()]
        return f"{{{', '.join(members)}}}"


def _id(encoded: str) -> str:
    """Return SQL of the id of an order, from its encoded value."""
    # broken bytes all have the same mark, which would make one id of many
    broken = f"contains({encoded}, {quote_literal(BROKEN)})"
    # few bytes are few characters
    short = f"CASE WHEN strlen({encoded}) > {_ID_CHARACTERS} THEN left({encoded}, {_ID_CHARACTERS}) ELSE {encoded} END"
    return f"CASE WHEN NOT {broken} THEN {short} END"


def _problems(*, warning: bool) -> str:
    """Return SQL of the list of the problems, or of the warnings, of an order; NULL for none."""
    chosen = f"list_filter(o.ecdp_found, lambda x: {'' if warning else 'NOT '}x.warning)"
    return f"nullif(list_transform({chosen}, lambda x: {{'field': x.field, 'rule': x.rule, 'got': x.got}}), [])"


def hashed_ids(ids: str) -> str:
    """Return SQL of the hashes of ids, NULL for one that is NULL: 8 bytes each, whatever ids look like."""
    return f"SELECT CASE WHEN order_id IS NOT NULL THEN hash(order_id) END AS id_hash FROM ({ids})"


def repeated_hashes(hashes: str, part: int, parts: int) -> str:
    """Return SQL of the hashes in the table `hashes` that appear more than once; of all of them, one part of many."""
    return f"SELECT id_hash FROM {hashes} WHERE id_hash % {parts} = {part} GROUP BY id_hash HAVING count(*) > 1"


def suspected(ids: str, hashes: str) -> str:
    """Return SQL of the ids whose hash is in the table `hashes`."""
    return f"SELECT order_id FROM ({ids}) WHERE hash(order_id) IN (SELECT id_hash FROM {hashes})"


def repeated(ids: str) -> str:
    """Return SQL of the ids that appear more than once in the table `ids`."""
    return f"SELECT order_id FROM {ids} WHERE order_id IS NOT NULL GROUP BY order_id HAVING count(*) > 1"


def compared(contents: str) -> str:
    """Return SQL of the table DUPLICATES: how often an id occurs, with how many contents, in how many parts."""
    return (
        "SELECT order_id, count(*) AS times, count(DISTINCT content) AS contents, "
        f"count(DISTINCT part) AS parts FROM {contents} GROUP BY order_id"
    )
