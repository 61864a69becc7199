"""Drafts a mapping from the columns of an extract.

Names are compared with those that warehouses use for each field, types with those of the field. A field without a
column is a comment, which the reader of mappings skips.
"""

from __future__ import annotations

import difflib
import functools
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import pyarrow as pa

from airflow_provider_ecdp.orders.contract import ORDER, PRODUCT, Kind, folded_name
from airflow_provider_ecdp.orders.mapping.spec import FIELDS
from airflow_provider_ecdp.orders.mapping.sums import digits
from airflow_provider_ecdp.orders.names import Scope
from airflow_provider_ecdp.orders.sql.coercion import encode
from airflow_provider_ecdp.orders.sql.json_columns import may_be_json

#: Further names of columns that are probably a field, the likeliest first. The field's own name comes before them.
_SYNONYMS = {
    "id": "order_id order_no order_number order_nr order_ref order_key invoice_no invoice_number invoice_id "
    "document_no receipt_no transaction_id sales_order_id increment_id order",
    "date": "order_date ordered_at order_time order_timestamp placed_at purchase_date purchased_at invoice_date "
    "created_at created transaction_date order_created_at order_ts date_created created_on datetime timestamp",
    "timeZone": "time_zone tz order_time_zone",
    "websiteId": "website shop_id store_id site_id",
    "status": "order_status state order_state financial_status",
    "currency": "currency_code order_currency currency_iso iso_currency",
    "totalValue": "order_total total_amount order_value order_amount grand_total total total_price gross_total amount",
    "returnsValue": "refund_amount returned_value refunded_amount refund_total refund returns",
    "customer.email": "customer_email email mail email_address customer_mail buyer_email contact_email billing_email "
    "user_email e_mail",
    "customer.phone": "customer_phone phone phone_number telephone mobile customer_telephone billing_phone msisdn",
    "customer.crmId": "crm_id customer_id customer_number customer_no customer_nr client_id buyer_id user_id member_id "
    "customer_key account_id customer",
    "products.id": "product_id sku item_id article_id stock_code product_code item_code article_no product_no item_no "
    "product_sku item_sku lineitem_sku variant_id ean",
    "products.name": "product_name item_name lineitem_name article_name product_title product_description "
    "item_description description title product article item name",
    "products.price": "unit_price product_price item_price price price_each price_per_unit sale_price unit_amount "
    "lineitem_price",
    "products.quantity": "quantity qty ordered_quantity quantity_ordered item_quantity qty_ordered "
    "lineitem_quantity units pieces count",
    "products.returned": "returned returned_quantity quantity_returned qty_returned",
    "products.url": "product_url item_url url link product_link",
    "products.imageUrl": "image_url product_image image picture_url picture thumbnail",
    "products.category": "product_category category category_name item_category department",
}

#: The fields that a single column holds, in the order of the contract.
_PATHS = [path for path, field_ in FIELDS.values() if not field_.fields]

_REQUIRED = [field_.name for field_ in ORDER if field_.required and not field_.fields]
_REQUIRED_OF_PRODUCT = [field_.name for field_ in PRODUCT if field_.required]

_LINE_NUMBERS = "line line_no line_number order_line line_id position item_position row_no sequence"
_LISTS = "products items lines order_items order_lines line_items positions basket"

#: Columns that hold the value of a line, to be summed.
_LINE_TOTALS = "line_total line_amount line_value amount total_price"

#: Where the lines of an order are rows, a column of one of these names is the whole order's.
_ORDER_TOTALS = {"totalvalue", "ordertotal", "ordervalue", "orderamount", "grandtotal"}

#: Minimum share of letters in common for a name to resemble another.
_ALIKE = 0.8

#: Constants for optional fields that no column gives.
_CONSTANTS = {"timeZone": "Europe/Warsaw", "status": "completed", "currency": "EUR"}

_STATUSES = 'placed, paid, completed or canceled; else {"column": %s, "map": {"shipped": "completed"}}'


_JSON_LIST = 'if it is JSON text of a list; where its keys have other names, add them: "products.id": "sku"'


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A mapping, and notes for its owner.

    :param mapping: as the user would write it, without comments
    :param missing: by the path of a field that is required and not found, the action
    :param notes: by the path of a field, something to check
    :param absent: optional fields without a column, with a constant as an example
    :param unused: columns not assigned to a field
    :param lines: whether a row is an order line
    """

    mapping: Mapping[str, object]
    missing: Mapping[str, str]
    notes: Mapping[str, str]
    absent: Mapping[str, str]
    unused: Sequence[str]
    lines: bool

    def text(self, heading: Sequence[str] = ()) -> str:
        """Return the mapping as JSON with comments.

        :param heading: lines of a comment above it
        """
        lines = [f"// {line}" if line else "//" for line in heading]
        return "\n".join([*lines, "{", *self._entries(), "}"])

    def _entries(self) -> Iterator[str]:
        for name, value in self.mapping.items():
            if isinstance(value, Mapping) and name in {"customer", "products"}:
                yield from self._comments(name, "  ")
                yield f"  {_json(name)}: {{"
                for inner, source in value.items():
                    yield from self._comments(f"{name}.{inner}", "    ")
                    yield f"    {_json(inner)}: {_json(source)},"
                yield from self._missing_in(name, value)
                if self.lines and self.unused and name == "products":
                    yield "    // unused columns that differ between the lines of an order:"
                    yield f'    // "productAttributes": {_json({column: column for column in self.unused})},'
                yield "  },"
            else:
                yield from self._comments(name, "  ")
                yield f"  {_json(name)}: {_json(value)},"
        yield from self._missing_in("", self.mapping)
        for path, example in self.absent.items():
            yield f"  // {_json(path)}: {_json({'value': example})},  // no column has a similar name: a constant"
        if self.unused:
            yield "  // unused columns as attributes of the order; rename each to its name in ECDP:"
            yield f'  // "orderAttributes": {_json({name: name for name in self.unused})},'

    def _comments(self, path: str, indent: str) -> Iterator[str]:
        if note := self.notes.get(path):
            yield f"{indent}// {note}"

    def _missing_in(self, prefix: str, present: Mapping[str, object]) -> Iterator[str]:
        """Yield the required fields that are missing directly below `prefix`, or in an object that is missing whole."""
        for path, advice in self.missing.items():
            head, _, name = path.rpartition(".")
            if head == prefix:
                yield f'  {"  " * bool(prefix)}// {_json(name)}: "COLUMN",  // MISSING: {advice}'
            elif not prefix and head and head not in present:
                yield f'  // {_json(path)}: "COLUMN",  // MISSING: {advice}'


def suggest(schema: pa.Schema, *, order_id: str | None = None, repeats: bool = False) -> Suggestion:
    """Return a mapping for an extract with the columns of `schema`.

    :param order_id: the column of the order's id, None to find it by its name
    :param repeats: whether values of the id repeat, so that rows are order lines
    """
    return _Draft(schema, order_id, repeats=repeats).suggestion()


def likely_columns(schema: pa.Schema) -> dict[str, list[str]]:
    """Return the columns that are probably a field's, by the path of the field; an object has those of its members."""
    draft = _Draft(schema, None, repeats=False)
    columns: dict[str, list[str]] = {}
    for path in _PATHS:
        if column := draft.taken.get(path):
            columns[path] = [column]
            if "." in path:
                columns.setdefault(path.partition(".")[0], []).append(column)
    if draft.whole:
        columns["products"] = [draft.whole]
        columns |= {f"products.{name}": [member] for name, member in draft.members().items()}
    return columns


def find_order_id(schema: pa.Schema) -> str | None:
    """Return the column that is probably the order's id."""
    return _Draft(schema, None, repeats=False).taken.get("id")


@dataclass(slots=True)
class _Draft:
    """Which columns fields are probably in; `taken` has them by path."""

    schema: pa.Schema
    order_id: str | None
    repeats: bool = field(kw_only=True)
    taken: dict[str, str] = field(init=False, default_factory=dict)
    notes: dict[str, str] = field(init=False, default_factory=dict)
    missing: dict[str, str] = field(init=False, default_factory=dict)
    types: dict[str, pa.DataType] = field(init=False)
    whole: str | None = field(init=False)

    def __post_init__(self) -> None:
        self.types = _types(self.schema)
        #: the column that holds the products of an order
        self.whole = self._list_column()
        self._match()

    def suggestion(self) -> Suggestion:
        customer = {
            path.partition(".")[2]: self.taken[path]
            for path in _PATHS
            if path.startswith("customer.") and path in self.taken
        }
        mapping: dict[str, object] = {}
        for path in (path for path in _PATHS if "." not in path):
            if path == "totalValue" and (total := self._total()):
                mapping[path] = total
            elif path in self.taken:
                mapping[path] = self.taken[path]
        if customer:
            mapping["customer"] = customer
        mapping |= self._products()
        self._note_types()
        self._note_missing(mapping)
        used = {*self.taken.values(), self.whole, *_columns_in(mapping)}
        unused = [
            name
            for name, type_ in self.types.items()
            if name not in used
            and not pa.types.is_nested(type_)
            and not any(name.startswith(f"{u}.") for u in used if u)
        ]
        absent = {path: constant for path, constant in _CONSTANTS.items() if path not in self.taken}
        return Suggestion(mapping, self.missing, self.notes, absent, unused, self.lines)

    @property
    def lines(self) -> bool:
        """Whether a row is an order line: the columns of a product are those of the row."""
        return self.whole is None and any(path.startswith("products.") for path in self.taken)

    def members(self) -> dict[str, str]:
        """Return the members of the products that are probably a field, by its name; those of JSON text are unknown."""
        type_ = self.types[self.whole] if self.whole else pa.null()
        return _members(type_.value_type) if _is_list(type_) else {}

    def _list_column(self) -> str | None:
        lists = [name for name, type_ in self.types.items() if _is_list(type_)]
        texts = [name for name, type_ in self.types.items() if may_be_json(type_)]
        # the ids of order lines repeat: text there is a value of the line
        for names in (lists, [] if self.repeats else texts):
            ranked = [name for synonym in _LISTS.split() for name in names if _folded(name) == _folded(synonym)]
            if ranked:
                return ranked[0]
        return lists[0] if len(lists) == 1 else None

    def _match(self) -> None:
        pairs = []
        for path in _PATHS:
            if self.whole and path.startswith("products."):
                continue
            for name, type_ in self.types.items():
                score = _score(path, name)
                if score and fits(path, type_):
                    pairs.append((-score - _typical(path, type_), _PATHS.index(path), path, name))
        if self.order_id is not None:
            self.taken["id"] = self.order_id
        for *_, path, name in sorted(pairs):
            if path not in self.taken and name not in self.taken.values():
                self.taken[path] = name

    def _total(self) -> object | None:
        """Return how the total of an order is summed from its lines; None where a column holds it."""
        column = self.taken.get("totalValue")
        if not self.lines or (column and _folded(column) in _ORDER_TOTALS):
            return None
        factors = [self.taken.get(f"products.{name}") for name in ("price", "quantity")]
        if all(name and digits(self.types[name]) for name in factors):
            if column:
                del self.taken["totalValue"]
            self.notes["totalValue"] = "or the column with the total, if there is one"
            return {"sum": factors}
        summed = next((n for s in _LINE_TOTALS.split() for n in self.types if _folded(n) == _folded(s)), None)
        if summed and digits(self.types[summed]):
            self.notes["totalValue"] = "if this column is the value of the line"
            return {"sum": summed}
        return None

    def _products(self) -> dict[str, object]:
        if self.whole and may_be_json(self.types[self.whole]):
            self.notes["products"] = _JSON_LIST
            return {"products": self.whole}
        if self.whole:
            inner = self.members()
            named = {name: column for name, column in inner.items() if folded_name(name) != folded_name(column)}
            self.missing |= {
                f"products.{name}": f"no member of {self.whole} has a similar name"
                for name in _REQUIRED_OF_PRODUCT
                if name not in inner
            }
            return {"products": self.whole, **{f"products.{name}": column for name, column in named.items()}}
        mapped: dict[str, object] = {
            path.partition(".")[2]: self.taken[path]
            for path in _PATHS
            if path.startswith("products.") and path in self.taken
        }
        if not mapped:
            return {}
        for synonym in _LINE_NUMBERS.split():
            for name in self.types:
                if _folded(name) == _folded(synonym) and name not in self.taken.values():
                    mapped.setdefault("order_by", name)
        repeat = f"{self.taken.get('id', 'the id')} repeats" if self.repeats else "no id repeats in the rows read"
        self.notes["products"] = f"each row is an order line ({repeat}): rows with the same id are one order"
        return {"products": mapped}

    def _note_types(self) -> None:
        if (date := self.taken.get("date")) and pa.types.is_timestamp(self.types[date]) and not self.types[date].tz:
            self.notes["date"] = "its times have no time zone: set --timezone (timezone=), for example Europe/Warsaw"
        elif date and pa.types.is_date(self.types[date]):
            self.notes["date"] = "days without a time: --timezone Europe/Warsaw (timezone=) names their zone"
        if status := self.taken.get("status"):
            self.notes["status"] = _STATUSES % _json(status)
        if not self.lines and self.repeats:
            self.notes["id"] = "it repeats, and no columns of products were found"

    def _note_missing(self, mapping: Mapping[str, object]) -> None:
        for path in _REQUIRED:
            if path not in mapping:
                self.missing[path] = (self._no_sum() if path == "totalValue" else None) or self._nearest(path)
        if "customer" not in mapping:
            self.missing["customer.crmId"] = f"or email or phone; {self._nearest('customer.crmId')}"
        products = mapping.get("products")
        if products is None:
            self.missing["products"] = (
                "a list of structs, or columns of order lines: products.id, .name, .price, .quantity"
            )
        elif isinstance(products, Mapping):
            for name in _REQUIRED_OF_PRODUCT:
                if name not in products:
                    self.missing[f"products.{name}"] = self._nearest(f"products.{name}")

    def _no_sum(self) -> str | None:
        """Return why the lines cannot be summed; None if a price or a quantity is missing."""
        factors = [self.taken.get(f"products.{name}") for name in ("price", "quantity")]
        if not self.lines or None in factors:
            return None
        wrong = [f"{name} is {self.types[name]}" for name in factors if name and not digits(self.types[name])]
        return f"{', '.join(wrong)}, which cannot be summed: cast it to a decimal where the extract is made"

    def _nearest(self, path: str) -> str:
        """Return the note on a field without a column: the columns with an unsuitable type, or that there is none."""
        wrong = [
            f"{name} is {self.types[name]}" for name in self.types if _score(path, name) and not self._fits(path, name)
        ]
        return f"{', '.join(wrong)}, which {path} cannot be" if wrong else "no column has a similar name"

    def _fits(self, path: str, name: str) -> bool:
        return fits(path, self.types[name])


def _types(schema: pa.Schema) -> dict[str, pa.DataType]:
    """Return the types of columns and of the members of structs, by their names."""
    scope = Scope.of_struct("", pa.struct(list(schema)))
    return {name: column.type for name in scope.names() if (column := scope.find(name))}


def _members(struct: pa.StructType) -> dict[str, str]:
    """Return the members of the structs in a list of products that are probably a field, by the field's name."""
    types = _types(pa.schema(list(struct)))
    best: list[tuple[float, str, str]] = []
    for path in _PATHS:
        if path.startswith("products."):
            best += [(-_score(path, n, bare=True), path, n) for n, type_ in types.items() if fits(path, type_)]
    taken: dict[str, str] = {}
    for score, path, name in sorted(best):
        if score < 0 and path not in taken and name not in taken.values():
            taken[path] = name
    return {path.partition(".")[2]: taken[path] for path in _PATHS if path in taken}


def fits(path: str, type_: pa.DataType) -> bool:
    """Whether values of a column's type can be a field."""
    _, parameter = FIELDS[folded_name(path)]
    if pa.types.is_nested(type_) or (pa.types.is_boolean(type_) and parameter.kind is not Kind.TEXT):
        return False
    return encode(parameter, "x", type_, "UTC") is not None


def _typical(path: str, type_: pa.DataType) -> float:
    """Return a little for a type that a field usually has; text can be anything."""
    kind = FIELDS[folded_name(path)][1].kind
    numeric = pa.types.is_integer(type_) or pa.types.is_floating(type_) or pa.types.is_decimal(type_)
    usual = {
        Kind.NUMBER: numeric,
        Kind.INTEGER: pa.types.is_integer(type_),
        Kind.TIMESTAMP: pa.types.is_timestamp(type_) or pa.types.is_date(type_),
    }
    return 0.5 if usual.get(kind) else 0.0


def _score(path: str, name: str, *, bare: bool = False) -> float:
    """Return how likely a column is a field, by their names: 0 for not at all.

    :param bare: the column is a member of a product, and its name need not show it
    """
    synonyms = _synonyms(path, bare)
    column = _folded(name)
    last = _folded(name.rpartition(".")[2])
    # a member such as buyer.id or payment.created_at may be another object's: columns of the row come first
    of_member = 100 if "." in path or bare else 75
    for place, (synonym, _) in enumerate(synonyms):
        if synonym == column:
            return 100 - place
        if synonym == last and (path != "id" or last != "id"):
            return of_member - place
    # a word before or after it: shop_order_id, order_id_text
    words = _words(name)
    for place, (_, part) in enumerate(synonyms):
        if len(part) > 1 and _holds(words, part):
            return 60 - place
    return 20 * _likeness(column, [synonym for synonym, _ in synonyms])


@functools.cache
def _synonyms(path: str, bare: bool) -> list[tuple[str, list[str]]]:
    """Return the names of a field, the likeliest first: each folded, and as words."""
    own = path.rpartition(".")[2]
    names = [path.replace(".", ""), *([own] if "." not in path or bare else []), *_SYNONYMS.get(path, "").split()]
    return [(_folded(name), _words(name)) for name in names]


def _likeness(name: str, others: Sequence[str]) -> float:
    """Return the greatest share of letters in common with one of `others`; 0 where none is similar enough."""
    # a table of a warehouse has thousands of columns: bounds first, and the matcher learns `name` once
    matcher = difflib.SequenceMatcher(b=name)
    best = 0.0
    for other in others:
        matcher.set_seq1(other)
        if matcher.real_quick_ratio() >= _ALIKE and matcher.quick_ratio() >= _ALIKE:
            best = max(best, matcher.ratio())
    return best if best >= _ALIKE else 0.0


@functools.lru_cache(4096)
def _folded(name: str) -> str:
    """Return the letters and digits of a name, in small letters: `Order No.` is `order_no`."""
    return "".join(filter(str.isalnum, name)).lower()


def _words(name: str) -> list[str]:
    return [word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+", name)]


def _holds(words: Sequence[str], part: Sequence[str]) -> bool:
    return any(list(words[i : i + len(part)]) == list(part) for i in range(len(words)))


def _is_list(type_: pa.DataType) -> bool:
    return bool((pa.types.is_list(type_) or pa.types.is_large_list(type_)) and pa.types.is_struct(type_.value_type))


def _columns_in(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from _columns_in(inner)
    elif isinstance(value, Sequence):
        for inner in value:
            yield from _columns_in(inner)


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)
