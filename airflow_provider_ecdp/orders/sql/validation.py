"""The rules of the contract as SQL: for an order, every problem and every warning, as data.

A problem is (field, rule, got): the path, the rule, and the text that `disclosure.py` shows of the value.
"""

from __future__ import annotations

import enum
from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass, replace

from airflow_provider_ecdp.orders.contract import STATUS_SPELLINGS, WARNINGS, Kind
from airflow_provider_ecdp.orders.engine.marks import BROKEN, ONE_VALUE, OTHER_KIND, REPEATED_KEY
from airflow_provider_ecdp.orders.engine.quoting import quote_identifier, quote_literal
from airflow_provider_ecdp.orders.engine.tables import DIFFERS
from airflow_provider_ecdp.orders.sql.blank_text import matches_blank
from airflow_provider_ecdp.orders.sql.coercion import TEXT, listed_status
from airflow_provider_ecdp.orders.sql.currencies import CURRENCY_CODES
from airflow_provider_ecdp.orders.sql.disclosure import disclosed_sql, length_sql, number_sql
from airflow_provider_ecdp.orders.sql.encoding import PLACEHOLDER
from airflow_provider_ecdp.orders.sql.fields import FieldBinding, Node

#: Characters of the code of a currency.
_CODE = 3

#: SQL of no broken rules: each is the path of its level, the number of its check, and the check's `value`.
_NONE = "CAST([] AS STRUCT(element VARCHAR, number BIGINT, value VARCHAR)[])"


class Got(enum.StrEnum):
    """The text that a problem shows of a check's value."""

    VALUE = "{value}"  #: as `disclosure.py` shows it
    AS_IS = "{text}"
    LENGTH = "{length}"
    CHARACTERS = "{characters}"
    BLANK = "{blank}"
    MARK = "{mark}"  #: the meaning of a mark in it; the rule is that of the mark too


@dataclass(frozen=True, slots=True)
class Check:
    """A rule.

    :param path: the path of the value from its level on, such as `customer.email`
    :param broken: SQL, true where the rule is broken
    :param rule: the rule, in words
    :param got: what stands there instead, in words, or how `value` is shown
    :param value: SQL of the text of the value
    :param warning: the name of the warning, if it is one
    :param watched: whether a cheaper test of an order's whole text finds the orders that may break this rule
    """

    path: str
    broken: str
    rule: str
    got: str | Got
    value: str = "NULL"
    warning: str | None = None
    watched: bool = False


@dataclass(frozen=True, slots=True)
class Level:
    """The checks of one level: the order (`node` is None), or the elements of a list.

    `path` is SQL of the path of the order, or of an element, which a lambda has as `node.var`.
    """

    node: Node | None
    path: str
    checks: tuple[Check, ...]
    levels: tuple[Level, ...] = ()

    @property
    def all_checks(self) -> list[Check]:
        """The checks of this level and below; their numbers are their places, from 1 on."""
        return [*self.checks, *(check for level in self.levels for check in level.all_checks)]

    def promote(self, names: Container[str]) -> Level:
        """Make errors of the warnings in `names`."""
        checks = tuple(replace(c, warning=None) if c.warning in names else c for c in self.checks)
        return replace(self, checks=checks, levels=tuple(level.promote(names) for level in self.levels))

    def any_broken(self) -> str:
        """Return SQL that is true if any check of this level or below is broken; cheap, for the rows that break none.

        It leaves out checks that are `watched`.
        """
        parts = [f"({c.broken})" for c in self.checks if not c.watched]
        for level in self.levels:
            node = _list(level)
            parts.append(f"len(list_filter({node.raw}, lambda {node.var}: {level.any_broken()})) > 0")
        return " OR ".join(parts)

    def problems(self) -> str:
        """Return SQL of the list of problems and warnings of this level and below: {field, rule, got, warning}.

        The engine takes longer to bind expressions than to read a small extract. So a check adds no more than its
        number and its value to the list of the broken ones, and one expression makes problems of them.
        """
        checks = self.all_checks
        path, rule, got = (_by_number([getattr(c, name) for c in checks]) for name in ("path", "rule", "got"))
        warnings = ", ".join(str(number) for number, check in enumerate(checks, 1) if check.warning)
        problem = (
            f"{{'field': x.element || {path}, "
            f"'rule': CASE WHEN {got} = '{Got.MARK}' THEN {_rule_of_mark('x.value')} ELSE {rule} END, "
            f"'got': CASE {got} {_shown('x.value')} ELSE {got} END, "
            f"'warning': list_contains([{warnings}], x.number)}}"
        )
        return f"list_transform({self.broken(1)}, lambda x: {problem})"

    def broken(self, first: int) -> str:
        """Return SQL of the list of broken checks of this level and below, in the form of `_NONE`.

        :param first: the number of the first check
        """
        numbers = f"range({first}, {first + len(self.checks)})"
        broken, values = (f"[{', '.join(getattr(c, name) for c in self.checks)}]" for name in ("broken", "value"))
        checks = f"list_filter(list_zip({broken}, {numbers}, CAST({values} AS VARCHAR[])), lambda x: x[1])"
        parts = [f"list_transform({checks}, lambda x: {{'element': {self.path}, 'number': x[2], 'value': x[3]}})"]
        first += len(self.checks)
        for level in self.levels:
            node = _list(level)
            inside = f"list_transform({node.raw}, lambda {node.var}, {_index(node)}: {level.broken(first)})"
            parts.append(f"coalesce(flatten({inside}), {_NONE})")
            first += len(level.all_checks)
        return " || ".join(parts)


def _by_number(texts: Sequence[str]) -> str:
    """Return SQL of the text of the check `x.number`."""
    # as lines of one text: a list of them takes longer to bind
    lines = "\n".join(texts)
    return f"split_part({quote_literal(lines)}, e'\\n', x.number)"


def _shown(value: str) -> str:
    """Return SQL of the branches of a CASE over the members of `Got`."""
    disclosed = (
        f"CASE WHEN contains({value}, {quote_literal(OTHER_KIND)}) THEN {_kind(value)} ELSE {disclosed_sql(value)} END"
    )
    branches = {
        Got.VALUE: disclosed,
        Got.AS_IS: value,
        Got.LENGTH: length_sql(value),
        Got.CHARACTERS: number_sql(f"length({value})", "character"),
        Got.BLANK: f"CASE WHEN {value} = '' THEN 'no characters' ELSE 'blank characters only' END",
        Got.MARK: _meaning_of_mark(value),
    }
    return " ".join(f"WHEN '{got}' THEN {sql}" for got, sql in branches.items())


def order_checks(fields: FieldBinding, *, matching: str | None, future: str) -> Level:
    """Return every check of an order with these `fields`.

    :param matching: the customer's field that the business unit matches by: `email`, `phone` or `crmId`
    :param future: SQL timestamp with time zone; a later date gets a warning
    """
    checks = list(_fields(fields.nodes))
    customer = fields.field("customer")
    if customer:
        checks += _customer(customer, matching)
    products = fields.field("products")
    if products:
        checks.append(_warning("no_products", "products", f"len({products.raw}) = 0", "an empty list"))
        if mismatch := _total(fields, products):
            checks.append(mismatch)
    date = fields.field("date")
    if date:
        # encoded values of one form compare as the times that they are
        checks.append(_warning("future_date", "date", f"{date.encoded} > {future}", "a later date"))
    status = fields.field("status")
    if status:
        for spelling, choice in STATUS_SPELLINGS.items():
            # the encoded value first: it is at hand
            spelled = f"{status.encoded} = {quote_literal(choice)} AND {listed_status(status.raw)} = "
            checks.append(_warning("status_spelling", "status", f"{spelled}{quote_literal(spelling)}", spelling))
    checks += _of_other_pages(fields)
    checks += [
        _warning("lines_differ", path, f"o.{DIFFERS}.{quote_identifier(path)}", "more than one value")
        for path in fields.differs
    ]
    levels = [_elements(node, node.field.name) for node in fields.nodes if node.field.kind is Kind.LIST]
    return Level(None, "''", tuple(checks), tuple(levels))


def _list(level: Level) -> Node:
    assert level.node is not None  # noqa: S101 - only the order itself has none, and it is never nested
    return level.node


def _index(node: Node) -> str:
    return f"{node.var}_index"


def _elements(node: Node, path: str, outer: str = "") -> Level:
    """Return the level of the elements of a list.

    :param path: that of the list, from `outer` on
    :param outer: SQL of the path of the element that the list is in, and an operator
    """
    # positions count from 0, as in the JSON that is sent and in the API's own messages
    element = f"{outer}{quote_literal(f'{path}[')} || ({_index(node)} - 1) || ']'"
    checks = [Check("", f"{node.var} IS NULL", "required", "missing")]
    checks += _fields(node.children, ".", f"{node.var} IS NOT NULL AND ")
    quantity = node.child("quantity")
    if quantity:
        checks.append(_warning("negative_quantity", ".quantity", quantity.below_zero, Got.VALUE, quantity.encoded))
    if node.field.name == "products":
        checks += [
            _warning("empty_text", f".{name}", matches_blank(child.encoded), Got.BLANK, child.encoded, watched=True)
            for name in ("id", "name")
            if (child := node.child(name))
        ]
    lists = [child for child in node.children if child.field.kind is Kind.LIST]
    levels = [_elements(child, f".{child.field.name}", f"{element} || ") for child in lists]
    return Level(node, element, tuple(checks), tuple(levels))


def _fields(nodes: Sequence[Node], prefix: str = "", present: str = "") -> Iterator[Check]:
    """Yield the checks of values by themselves.

    :param prefix: of their paths
    :param present: SQL of whether the object that they are in is there, and an operator
    """
    for node in nodes:
        path = f"{prefix}{node.field.name}"
        if node.field.required:
            yield Check(path, f"{present}{node.raw} IS NULL", "required", "missing")
        if node.field.kind is Kind.OBJECT:
            yield from _fields(node.children, f"{path}.")
        elif node.field.kind is not Kind.LIST:
            yield from _value(node, path)


def _value(node: Node, path: str) -> Iterator[Check]:
    field, raw, encoded = node.field, node.raw, node.encoded
    if node.rule:
        broken = f"{raw} IS NOT NULL AND {node.number or encoded} IS NULL"
        if node.blank:
            broken = f"CASE WHEN {broken} THEN NOT {node.blank} END"
        yield Check(path, broken, node.rule, *_got(node))
    if field.kind is Kind.TEXT:
        # a value that could not become text, and was marked
        yield Check(path, f"contains({encoded}, {quote_literal(BROKEN)})", "", Got.MARK, encoded, watched=True)
    low, high = field.min_length, field.max_length
    if field.kind is Kind.TEXT and (low or high):
        exactly = low == high
        # an absent value fails `required`, and only that
        if high:
            # bytes first: strlen is free, and few bytes are few characters
            longer = f"length({encoded}) > {high}{f' AND NOT {node.blank}' if node.blank and not node.made else ''}"
            bound = (
                f"length({encoded}) <> {high} AND NOT contains({encoded}, {quote_literal(OTHER_KIND)})"
                if exactly
                else f"CASE WHEN strlen({encoded}) > {high} THEN {longer} END"
            )
            rule = f"exactly {high} characters" if exactly else f"at most {high} characters"
            yield Check(path, bound, rule, Got.CHARACTERS, encoded)
        if low and not exactly:
            rule = f"at least {low} character{'s' if low > 1 else ''}"
            yield Check(path, matches_blank(encoded), rule, Got.BLANK, encoded, watched=True)


def _kind(text: str) -> str:
    """Return SQL of the kind, in words, of a value that was marked; empty for another value."""
    return f"split_part({text}, {quote_literal(OTHER_KIND)}, 2)"


def _rule_of_mark(text: str) -> str:
    """Return SQL of the rule that a marked value breaks."""
    of_kind = f"coalesce(nullif(split_part({text}, {quote_literal(OTHER_KIND)}, 3), ''), 'text')"
    return _by_mark(text, of_kind, f"'{ONE_VALUE}'", f"'{TEXT}'")


def _meaning_of_mark(text: str) -> str:
    """Return SQL of the value, in words, that a mark stands for."""
    return _by_mark(text, _kind(text), "'more'", "'bytes of another encoding'")


def _by_mark(text: str, other_kind: str, repeated_key: str, broken: str) -> str:
    return (
        f"CASE WHEN {_kind(text)} <> '' THEN {other_kind} "
        f"WHEN contains({text}, {quote_literal(REPEATED_KEY)}) THEN {repeated_key} ELSE {broken} END"
    )


def _got(node: Node) -> tuple[str | Got, str]:
    """Return how a value that has no encoded value is shown, and SQL of its text."""
    if node.shown:
        return Got.AS_IS, node.shown
    as_text = f"CAST({node.raw} AS VARCHAR)"
    return (Got.LENGTH if node.field.personal or node.field.any_text else Got.VALUE), as_text


def _customer(customer: Node, matching: str | None) -> Iterator[Check]:
    absent = [f"{child.encoded} IS NULL" for child in customer.children]
    contacts = f"{customer.raw} IS NOT NULL AND {' AND '.join(absent)}"
    yield Check("customer", contacts, "needs email, phone or crmId", "none")
    if matching:
        node = customer.child(matching)
        missing = f"{node.encoded} IS NULL" if node else "TRUE"
        rule = f"required by the matching mode {matching}"
        yield Check(f"customer.{matching}", f"{customer.raw} IS NOT NULL AND {missing}", rule, "missing")
    for child in customer.children:
        broken = f"regexp_full_match({child.encoded}, {quote_literal(PLACEHOLDER)})"
        yield _warning(
            "placeholder", f"customer.{child.field.name}", broken, Got.CHARACTERS, child.encoded, watched=True
        )
    email = customer.child("email")
    if email:
        broken = f"NOT contains({email.encoded}, '@')"
        yield _warning("email_without_at", "customer.email", broken, Got.CHARACTERS, email.encoded)


def _of_other_pages(fields: FieldBinding) -> Iterator[Check]:
    """Yield the warnings for values that other pages of the vendor forbid, but the API's page does not."""
    for name, warning in (("totalValue", "negative_total"), ("returnsValue", "negative_returns")):
        if node := fields.field(name):
            yield _warning(warning, name, node.below_zero, Got.VALUE, node.encoded)
    if currency := fields.field("currency"):
        code = currency.encoded
        # one text takes less time to bind and to search than a list; no three characters and a comma span two codes
        codes = quote_literal("".join(f"{one}," for one in sorted(CURRENCY_CODES)))
        broken = f"length({code}) = {_CODE} AND NOT contains({codes}, {code} || ',')"
        yield _warning("currency_code", "currency", broken, Got.VALUE, code)
    if id_ := fields.field("id"):
        yield _warning("id_spaces", "id", _has_blanks(id_.encoded), Got.LENGTH, id_.encoded)
    customer = fields.field("customer")
    if customer and (phone := customer.child("phone")):
        yield _warning("phone_spaces", "customer.phone", _has_blanks(phone.encoded), Got.LENGTH, phone.encoded)


def attribute_names(node: Node) -> str:
    """Return SQL of the list of the names of attributes in a list of them, or in a list of products."""
    name, nested = node.child("name"), node.child("productAttributes")
    if nested:
        return f"flatten(list_transform({node.raw}, lambda {node.var}: coalesce({attribute_names(nested)}, [])))"
    return f"list_transform({node.raw}, lambda {node.var}: {name.encoded if name else 'NULL'})"


def _has_blanks(text: str) -> str:
    # the no-break space too, which people paste
    return f"(contains({text}, ' ') OR contains({text}, chr(160)))"


def _total(fields: FieldBinding, products: Node) -> Check | None:
    total, price, quantity = fields.field("totalValue"), products.child("price"), products.child("quantity")
    if not (total and price and quantity):
        return None
    line = f"{price.double} * {quantity.double}"
    lines = f"list_transform({products.raw}, lambda {products.var}: {line})"
    broken = f"abs({total.double} - list_sum({lines})) > 0.0100001"
    return _warning("total_mismatch", "totalValue", broken, "another total than its products")


def _warning(name: str, path: str, broken: str, got: str | Got, value: str = "NULL", *, watched: bool = False) -> Check:
    return Check(path, broken, f"{name}: {WARNINGS[name]}", got, value, name, watched)
