"""The rules of the contract as SQL: for an order, every problem and every warning, as data.

A problem is (field, rule, got): the path, the rule, and the text that `disclosure.py` shows of the value.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from airflow_provider_ecdp.orders.contract import MAX_ATTRIBUTE_NAMES, WARNINGS, Kind
from airflow_provider_ecdp.orders.engine.marks import BROKEN, ONE_VALUE, OTHER_KIND, REPEATED_KEY
from airflow_provider_ecdp.orders.engine.quoting import quote_identifier, quote_literal
from airflow_provider_ecdp.orders.engine.tables import DIFFERS
from airflow_provider_ecdp.orders.sql.coercion import TEXT, listed_status
from airflow_provider_ecdp.orders.sql.currencies import CURRENCY_CODES
from airflow_provider_ecdp.orders.sql.disclosure import disclosed_sql, length_sql, number_sql
from airflow_provider_ecdp.orders.sql.fields import FieldBinding, Node

#: SQL type of a problem.
PROBLEM = "STRUCT(field VARCHAR, rule VARCHAR, got VARCHAR)"

#: Characters of the code of a currency.
_CODE = 3

_NONE = f"CAST([] AS {PROBLEM}[])"


@dataclass(frozen=True, slots=True)
class Path:
    """Where a value is in an order, such as `products[3].name`: text, and SQL of positions between it."""

    text: str = ""
    before: tuple[str, ...] = ()

    def member(self, name: str) -> Path:
        """Return the path of a member."""
        return Path(f"{self.text}.{name}" if self.text or self.before else name, self.before)

    def element(self, position: str) -> Path:
        """Return the path of an element of the list that this is the path of.

        :param position: SQL of a number; the first is 0
        """
        return Path("]", (*self.before, quote_literal(f"{self.text}["), position))

    def sql(self) -> str:
        """Return SQL of the path as text."""
        return " || ".join([*self.before, quote_literal(self.text)])


@dataclass(frozen=True, slots=True)
class Check:
    """`broken` is SQL, true where the rule is broken; `rule` and `got` are SQL; `warning` is its name if it is one.

    `watched`: a cheaper test of an order's whole text finds the orders that may break this rule.
    """

    path: Path
    broken: str
    rule: str
    got: str
    warning: str | None = None
    watched: bool = False

    @property
    def problem(self) -> str:
        """SQL of the problem, NULL where there is none."""
        return (
            f"CASE WHEN {self.broken} THEN {{'field': {self.path.sql()}, 'rule': {self.rule}, 'got': {self.got}}} END"
        )


@dataclass(frozen=True, slots=True)
class Level:
    """The checks of one level: the order (`node` is None), or the elements of a list."""

    node: Node | None
    checks: tuple[Check, ...]
    levels: tuple[Level, ...] = ()

    def only(self, names: frozenset[str | None]) -> Level:
        """Keep the checks whose warning's name (None for an error) is in `names`."""
        kept = tuple(level.only(names) for level in self.levels)
        return Level(self.node, tuple(c for c in self.checks if c.warning in names), tuple(k for k in kept if k))

    def __bool__(self) -> bool:
        return bool(self.checks or self.levels)

    def any_broken(self) -> str:
        """Return SQL that is true if any check of this level or below is broken; cheap, for rows where all is well.

        It leaves out checks that are `watched`.
        """
        parts = [f"({c.broken})" for c in self.checks if not c.watched]
        for level in self.levels:
            node = _list(level)
            if inside := level.any_broken():
                parts.append(f"len(list_filter({node.raw}, lambda {node.var}: {inside})) > 0")
        return " OR ".join(parts)

    def problems(self) -> str:
        """Return SQL of the list of problems of this level and below."""
        own = f"list_filter([{', '.join(c.problem for c in self.checks)}], lambda x: x IS NOT NULL)"
        parts = [own if self.checks else _NONE]
        for level in self.levels:
            node = _list(level)
            inside = f"list_transform({node.raw}, lambda {node.var}, {_index(node)}: {level.problems()})"
            parts.append(f"coalesce(flatten({inside}), {_NONE})")
        return " || ".join(parts)


def order_checks(fields: FieldBinding, *, matching: str | None, future: str) -> Level:
    """Return every check of an order with these `fields`.

    :param matching: the customer's field that the business unit matches by: `email`, `phone` or `crmId`
    :param future: SQL timestamp with time zone; a later date is odd
    """
    order = Path()
    checks = list(_fields(fields.nodes, order))
    customer = fields.field("customer")
    if customer:
        checks += _customer(customer, matching)
    products = fields.field("products")
    if products:
        checks.append(_warning("no_products", order.member("products"), f"len({products.raw}) = 0", "'an empty list'"))
        if mismatch := _total(fields, products):
            checks.append(mismatch)
    date = fields.field("date")
    if date:
        # encoded values of one form compare as the times that they are
        checks.append(_warning("future_date", order.member("date"), f"{date.encoded} > {future}", "'a later date'"))
    status = fields.field("status")
    if status:
        checks.append(
            _warning(
                "status_spelling", order.member("status"), f"{listed_status(status.raw)} = 'cancelled'", "'cancelled'"
            ),
        )
    checks += _of_other_pages(fields)
    checks += [
        _warning("lines_differ", Path(path), f"o.{DIFFERS}.{quote_identifier(path)}", "'more than one value'")
        for path in fields.differs
    ]
    levels = [_elements(node, order) for node in fields.nodes if node.field.kind is Kind.LIST]
    return Level(None, tuple(checks), tuple(levels))


def errors_and_warnings(level: Level, promoted: Iterable[str]) -> tuple[Level, Level]:
    """Split the checks; the warnings named in `promoted` count as errors."""
    promoted = frozenset(promoted)
    return level.only(promoted | {None}), level.only(frozenset(WARNINGS) - promoted)


def _list(level: Level) -> Node:
    assert level.node is not None  # noqa: S101 - only the order itself has none, and it is never nested
    return level.node


def _index(node: Node) -> str:
    return f"{node.var}_index"


def _elements(node: Node, outer: Path) -> Level:
    # positions count from 0, as in the JSON that is sent and in the API's own messages
    path = outer.member(node.field.name).element(f"({_index(node)} - 1)")
    element = Check(path, f"{node.var} IS NULL", "'required'", "'missing'")
    checks = [element, *_fields(node.children, path, outer=f"{node.var} IS NOT NULL AND ")]
    quantity = node.child("quantity")
    if quantity:
        checks.append(
            _warning(
                "negative_quantity",
                path.member("quantity"),
                f"TRY_CAST({quantity.encoded} AS INTEGER) < 0",
                disclosed_sql(quantity.encoded),
            )
        )
    if node.field.name == "products":
        checks += [
            _warning("empty_text", path.member(name), f"{child.encoded} = ''", "'no characters'")
            for name in ("id", "name")
            if (child := node.child(name))
        ]
    nested = [_elements(c, path) for c in node.children if c.field.kind is Kind.LIST]
    return Level(node, tuple(checks), tuple(nested))


def _fields(nodes: Sequence[Node], parent: Path, outer: str = "") -> Iterator[Check]:
    for node in nodes:
        path = parent.member(node.field.name)
        if node.field.required:
            yield Check(path, f"{outer}{node.raw} IS NULL", "'required'", "'missing'")
        if node.field.kind is Kind.OBJECT:
            yield from _fields(node.children, path)
        elif node.field.kind is not Kind.LIST:
            yield from _value(node, path)


def _value(node: Node, path: Path) -> Iterator[Check]:
    field, raw, encoded = node.field, node.raw, node.encoded
    if node.rule:
        yield Check(path, f"{raw} IS NOT NULL AND {encoded} IS NULL", quote_literal(node.rule), _got(node))
    if field.kind is Kind.TEXT:
        yield _marked(path, encoded)
    low, high = field.min_length, field.max_length
    if field.kind is Kind.TEXT and (low or high):
        exactly = low == high
        # an absent value fails `required`, and only that
        if high:
            # bytes first: strlen is free, and few bytes are few characters
            bound = (
                f"length({encoded}) <> {high} AND NOT contains({encoded}, {quote_literal(OTHER_KIND)})"
                if exactly
                else f"strlen({encoded}) > {high} AND length({encoded}) > {high}"
            )
            rule = f"exactly {high} characters" if exactly else f"at most {high} characters"
            yield Check(path, bound, quote_literal(rule), number_sql(f"length({encoded})", "character"))
        if low and not exactly:
            rule = f"at least {low} character{'s' if low > 1 else ''}"
            yield Check(path, f"strlen({encoded}) < {low}", quote_literal(rule), "'no characters'")


def _marked(path: Path, encoded: str) -> Check:
    """Return the check of values that could not become text, and were marked."""
    other = _kind(encoded)
    of_kind = f"coalesce(nullif(split_part({encoded}, {quote_literal(OTHER_KIND)}, 3), ''), 'text')"
    twice = f"contains({encoded}, {quote_literal(REPEATED_KEY)})"
    rule = f"CASE WHEN {other} <> '' THEN {of_kind} WHEN {twice} THEN '{ONE_VALUE}' ELSE '{TEXT}' END"
    got = f"CASE WHEN {other} <> '' THEN {other} WHEN {twice} THEN 'more' ELSE 'bytes of another encoding' END"
    return Check(path, f"contains({encoded}, {quote_literal(BROKEN)})", rule, got, watched=True)


def _kind(text: str) -> str:
    """Return SQL of the kind, in words, of a value that was marked; of no characters for another."""
    return f"split_part({text}, {quote_literal(OTHER_KIND)}, 2)"


def _got(node: Node) -> str:
    if node.shown:
        return node.shown
    as_text = f"CAST({node.raw} AS VARCHAR)"
    free = node.field.kind is Kind.TEXT and not (node.field.choices or node.field.name == "timeZone")
    if node.field.personal or free:
        return length_sql(as_text)
    marked = f"contains({as_text}, {quote_literal(OTHER_KIND)})"
    return f"CASE WHEN {marked} THEN {_kind(as_text)} ELSE {disclosed_sql(as_text)} END"


def _customer(customer: Node, matching: str | None) -> Iterator[Check]:
    path = Path().member("customer")
    absent = [f"{child.encoded} IS NULL" for child in customer.children]
    yield Check(
        path,
        f"{customer.raw} IS NOT NULL AND {' AND '.join(absent)}",
        "'needs email, phone or crmId'",
        "'none'",
    )
    if matching:
        node = customer.child(matching)
        missing = f"{node.encoded} IS NULL" if node else "TRUE"
        rule = f"required by the matching mode {matching}"
        yield Check(
            path.member(matching), f"{customer.raw} IS NOT NULL AND {missing}", quote_literal(rule), "'missing'"
        )
    email = customer.child("email")
    if email:
        broken = f"NOT contains({email.encoded}, '@')"
        yield _warning(
            "email_without_at", path.member("email"), broken, number_sql(f"length({email.encoded})", "character")
        )


def _of_other_pages(fields: FieldBinding) -> Iterator[Check]:
    """Yield the warnings for values that other pages of the vendor forbid, but the API's page does not."""
    for name, warning in (("totalValue", "negative_total"), ("returnsValue", "negative_returns")):
        if node := fields.field(name):
            # -0.00 is not below zero
            broken = f"CASE WHEN starts_with({node.encoded}, '-') THEN TRY_CAST({node.encoded} AS DOUBLE) < 0 END"
            yield _warning(warning, Path(name), broken, disclosed_sql(node.encoded))
    if currency := fields.field("currency"):
        code = currency.encoded
        # a search in one text takes half the time of IN
        known = f"contains({quote_literal('|'.join(['', *sorted(CURRENCY_CODES), '']))}, '|' || {code} || '|')"
        broken = f"length({code}) = {_CODE} AND NOT {known}"
        yield _warning("currency_code", Path("currency"), broken, disclosed_sql(code))
    if id_ := fields.field("id"):
        yield _warning("id_spaces", Path("id"), _has_blanks(id_.encoded), length_sql(id_.encoded))
    customer = fields.field("customer")
    if customer and (phone := customer.child("phone")):
        yield _warning("phone_spaces", Path("customer.phone"), _has_blanks(phone.encoded), length_sql(phone.encoded))
    if attributes := fields.field("orderAttributes"):
        yield _many_names("orderAttributes", f"len({attributes.raw})", attribute_names(attributes))
    products = fields.field("products")
    if products and (nested := products.child("productAttributes")):
        count = f"list_sum(list_transform({products.raw}, lambda {products.var}: len({nested.raw})))"
        yield _many_names("productAttributes", count, attribute_names(products))


def attribute_names(node: Node) -> str:
    """Return SQL of the list of the names of attributes in a list of them, or in a list of products."""
    name, nested = node.child("name"), node.child("productAttributes")
    if nested:
        return f"flatten(list_transform({node.raw}, lambda {node.var}: coalesce({attribute_names(nested)}, [])))"
    return f"list_transform({node.raw}, lambda {node.var}: {name.encoded if name else 'NULL'})"


def _many_names(field: str, count: str, names: str) -> Check:
    distinct = f"list_unique({names})"
    # names are compared only in orders that have enough of them
    broken = f"CASE WHEN {count} > {MAX_ATTRIBUTE_NAMES} THEN {distinct} > {MAX_ATTRIBUTE_NAMES} END"
    return _warning("many_attributes", Path(field), broken, f"{distinct} || ' names'")


def _has_blanks(text: str) -> str:
    # the no-break space too, which people paste
    return f"(contains({text}, ' ') OR contains({text}, chr(160)))"


def _total(fields: FieldBinding, products: Node) -> Check | None:
    total, price, quantity = fields.field("totalValue"), products.child("price"), products.child("quantity")
    if not (total and price and quantity):
        return None
    line = f"TRY_CAST({price.encoded} AS DOUBLE) * TRY_CAST({quantity.encoded} AS DOUBLE)"
    lines = f"list_transform({products.raw}, lambda {products.var}: {line})"
    broken = f"abs(TRY_CAST({total.encoded} AS DOUBLE) - list_sum({lines})) > 0.0100001"
    return _warning("total_mismatch", Path("totalValue"), broken, "'another total than its products'")


def _warning(name: str, path: Path, broken: str, got: str) -> Check:
    return Check(path, broken, quote_literal(f"{name}: {WARNINGS[name]}"), got, name)
