"""Made-up orders of a plausible shop as a Parquet file, nested like the API's order or as order lines.

Every value comes from a hash of the seed and a position, so a seed gives the same orders in every run and on any
number of threads. People and addresses are invented: e-mail domains are those that RFC 2606 keeps for examples.
"""

from __future__ import annotations

import datetime as dt
import os
from dataclasses import dataclass
from pathlib import Path

import duckdb

from airflow_provider_ecdp.errors import ConfigurationError

#: Rows of one row group: what a reader holds at a time.
_GROUP_ROWS = 20_480

_NOUNS = (  # name, category, price in EUR
    ("Wireless Earbuds", "Electronics > Audio", 59),
    ("Desk Lamp", "Home > Lighting", 35),
    ("Coffee Grinder", "Home > Kitchen", 45),
    ("Chef's Knife", "Home > Kitchen", 29),
    ("Running Shoes", "Sports > Running", 89),
    ("Yoga Mat", "Sports > Fitness", 25),
    ("Rain Jacket", "Clothing > Outdoor", 119),
    ("Cotton T-Shirt", "Clothing > Basics", 15),
    ("Wool Socks", "Clothing > Basics", 9),
    ("Café Crème Mug 0,3 l", "Home > Kitchen", 12),
    ('Notebook "Dots" A5', "Office > Paper", 7),
    ("Fountain Pen", "Office > Writing", 39),
    ("Backpack 24 l", "Sports > Hiking", 69),
    ("Water Bottle", "Sports > Hiking", 19),
    ("Bluetooth Speaker", "Electronics > Audio", 79),
    ("Phone Case", "Electronics > Accessories", 17),
    ("Garden Shears", "Garden > Tools", 27),
    ("Herb Planter", "Garden > Pots", 22),
    ("Board Game", "Toys > Games", 33),
    ("Wooden Train", "Toys > Wood", 49),
    ("Hand Cream", "Beauty > Care", 8),
    ("Linen Towel", "Home > Bath", 18),
    ("Bicycle Light", "Sports > Cycling", 24),
    ("Reading Glasses", "Beauty > Care", 14),
)
_COLORS = ("Black", "White", "Blue", "Green", "Red", "Sand", "Grey", "Żółty")
_MARKETS = (  # weight, currency, IANA zone, website, units of the currency for one EUR
    (7, "EUR", "Europe/Berlin", 1, 1),
    (3, "EUR", "Europe/Paris", 2, 1),
    (5, "PLN", "Europe/Warsaw", 3, 4),
    (3, "GBP", "Europe/London", 4, 1),
    (3, "USD", "America/New_York", 5, 1),
    (2, "USD", "America/Los_Angeles", 5, 1),
    (1, "CZK", "Europe/Prague", 6, 25),
    (1, "AUD", "Australia/Sydney", 7, 2),
)
_STATUSES = ("placed",) * 3 + ("paid",) * 5 + ("completed",) * 11 + ("canceled",)
_SIZES = (1,) * 8 + (2,) * 5 + (3,) * 3 + (4,) * 2 + (5, 6)
_SHIPPING = ("Standard", "Standard", "Standard", "Express", "Pickup point")
_FIRST = ("anna", "jan", "marie", "tom", "zofia", "luca", "emma", "oskar", "nina", "felix", "julia", "max")
_LAST = ("nowak", "schmidt", "martin", "smith", "novak", "jones", "weber", "dubois", "kowalska", "brown", "wagner")

_PRODUCT = ("id", "name", "price", "quantity", "returned", "url", "imageUrl", "category", "productAttributes")


@dataclass(frozen=True, slots=True)
class _Change:
    """What makes an order faulty or odd: `column` becomes `value`; `in_lines` tells whether order lines can say it."""

    column: str
    value: str
    in_lines: bool = True


def _first(**changed: str) -> str:
    """Return SQL of the products with other values in the first of them."""
    fields = ", ".join(f"'{name}': {changed.get(name, f'products[1].{name}')}" for name in _PRODUCT)
    return f"[{{{fields}}}] || products[2:]"


#: Each breaks one rule of the contract.
_FAULTS = (
    _Change("customer", "{'email': NULL, 'phone': NULL, 'crmId': NULL}"),
    _Change("products", _first(name="repeat('very long name ', 140)")),
    _Change("status", "'shipped'"),
    _Change("currency", "'EURO'"),
    _Change("products", _first(price="NULL")),
    _Change("products", _first(quantity="3000000000")),
    _Change("timeZone", "'Mars/Olympus_Mons'"),
    _Change("date", "NULL"),
    _Change("customer", "{'email': customer.email, 'phone': '+1555' || repeat('0', 20), 'crmId': customer.crmId}"),
    _Change("id", "id || repeat('-LONG', 30)"),
    _Change("customer", "NULL", in_lines=False),
    _Change("products", "NULL", in_lines=False),
    _Change("totalValue", "NULL", in_lines=False),
    _Change("orderAttributes", "[{'name': '', 'value': 'a feature without a name'}]", in_lines=False),
)
#: Each gives one warning.
_ODDITIES = (
    _Change("status", "'cancelled'"),
    _Change("customer", "{'email': 'asked at the counter', 'phone': customer.phone, 'crmId': customer.crmId}"),
    _Change("totalValue", "totalValue + 5", in_lines=False),
)

#: Shapes a sample of order lines into orders; it selects from `extract`, as every SQL text of a push.
LINES_SQL = """\
SELECT
    order_id                       AS id,
    any_value(ordered_at)          AS date,
    any_value(time_zone)           AS "timeZone",
    any_value(shop_id)             AS "websiteId",
    any_value(order_status)        AS status,
    any_value(currency)            AS currency,
    sum(unit_price * quantity)     AS "totalValue",
    sum(unit_price * returned)     AS "returnsValue",
    {
        'email': any_value(customer_email),
        'phone': any_value(customer_phone),
        'crmId': any_value(customer_number)
    }                              AS customer,
    list({
        'id': sku,
        'name': product_name,
        'price': unit_price,
        'quantity': quantity,
        'returned': returned,
        'url': product_url,
        'imageUrl': image_url,
        'category': category,
        'productAttributes': [{'name': 'Color', 'value': color}]
    } ORDER BY line)               AS products,
    [{'name': 'Shipping Method', 'value': any_value(shipping_method)}] AS "orderAttributes"
FROM extract
GROUP BY order_id
"""

_LINES = """
SELECT id AS order_id, date AS ordered_at, "timeZone" AS time_zone, "websiteId" AS shop_id, status AS order_status,
    currency, customer.email AS customer_email, customer.phone AS customer_phone, customer."crmId" AS customer_number,
    "orderAttributes"[1].value AS shipping_method, line, p.id AS sku, p.name AS product_name, p.price AS unit_price,
    p.quantity AS quantity, p.returned AS returned, p.url AS product_url, p."imageUrl" AS image_url,
    p.category AS category, p."productAttributes"[1].value AS color
FROM (SELECT *, unnest(products) AS p, generate_subscripts(products, 1) AS line FROM ({orders}))
"""

_ORDERS = """
WITH dice AS (
    SELECT i, md5_number_upper('{seed}:order:' || i) AS a, md5_number_lower('{seed}:order:' || i) AS b
    FROM range({orders}) AS r(i)
), bought AS (
    -- the square makes a few customers order often
    SELECT *, CAST(floor({customers} * pow((a % 1000003) / 1000003.0, 2)) AS BIGINT) AS c,
        list_transform(range({sizes}[1 + b % {n_sizes}]), lambda x: md5_number_lower('{seed}:product:' || i || ':' || x))
            AS picks
    FROM dice
), placed AS (
    SELECT *, md5_number_upper('{seed}:customer:' || c) AS k, {markets}[1 + k % {n_markets}] AS m,
        {statuses}[1 + (b >> 8) % {n_statuses}] AS s
    FROM bought
), packed AS (
    SELECT *, list_transform(
        list_transform(picks, lambda q: {{'q': q, 'on': shelf.items[1 + q % {n_items}]}}),
        lambda x: {{
            'id': x.on.id,
            'name': x.on.name,
            'price': CAST(x.on.price * m.rate - 0.01 AS DECIMAL(12, 2)),
            'quantity': CASE WHEN (x.q >> 16) % 4 = 0 THEN CAST(2 + (x.q >> 20) % 4 AS BIGINT) ELSE 1 END,
            'returned': CAST(s = 'completed' AND (x.q >> 24) % 40 = 0 AS BIGINT),
            'url': 'https://shop.example.com/products/' || x.on.id,
            'imageUrl': 'https://shop.example.com/images/' || x.on.id || '.jpg',
            'category': x.on.category,
            'productAttributes': [{{'name': 'Color', 'value': x.on.color}}]
        }}) AS products
    FROM placed, shelf
)
SELECT i, format('ORD-{{:08d}}', i + 1) AS id,
    TIMESTAMPTZ '{start} 00:00:00+00'
        + to_milliseconds(CAST(floor((i + (a >> 32) / 4294967296.0) / {orders} * {milliseconds}) AS BIGINT)) AS date,
    m.zone AS "timeZone", m.website AS "websiteId", s AS status, m.currency AS currency,
    CAST(list_sum(list_transform(products, lambda p: p.price * p.quantity)) AS DECIMAL(12, 2)) AS "totalValue",
    CAST(list_sum(list_transform(products, lambda p: p.price * p.returned)) AS DECIMAL(12, 2)) AS "returnsValue",
    {{
        'email': CASE WHEN (k >> 8) % 8 > 0 THEN {first}[1 + (k >> 16) % {n_first}] || '.'
            || {last}[1 + (k >> 24) % {n_last}] || c || '@example.' || CASE WHEN k % 2 = 0 THEN 'com' ELSE 'org' END END,
        'phone': CASE WHEN (k >> 36) % 2 > 0 THEN format('+1555{{:07d}}', c % 10000000) END,
        'crmId': CASE WHEN (k >> 8) % 8 = 0 OR (k >> 40) % 8 > 0 THEN format('CRM-{{:07d}}', c) END
    }} AS customer,
    products,
    [{{'name': 'Shipping Method', 'value': {shipping}[1 + (b >> 16) % {n_shipping}]}}]
        || CASE WHEN (b >> 24) % 8 = 0 AND NOT {lines} THEN [{{'name': 'Gift Wrap', 'value': 'Yes'}}] ELSE [] END
        AS "orderAttributes"
FROM packed
"""


@dataclass(frozen=True, slots=True)
class Sample:
    """What to make up.

    :param orders: how many orders, with the ids `ORD-00000001` and up
    :param seed: the same seed gives the same orders
    :param faulty: how many of them break a rule of the contract, spread over the file, one kind after the other
    :param odd: how many of them give a warning, likewise
    :param lines: one row per order line, in columns that `LINES_SQL` shapes, instead of one per order
    :param day: all orders are placed on this day (UTC); None spreads them over the year 2025
    :raises ConfigurationError: more faulty and odd orders than orders, or fewer than none
    """

    orders: int = 10_000
    seed: int = 1
    faulty: int = 0
    odd: int = 0
    lines: bool = False
    day: dt.date | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot be made."""
        if min(self.orders, self.faulty, self.odd) < 0 or self.faulty + self.odd > self.orders:
            raise ConfigurationError(
                f"{self.orders} orders cannot have {self.faulty} faulty and {self.odd} odd ones among them"
            )

    def write(self, path: str | os.PathLike[str]) -> None:
        """Write the Parquet file `path`, in place of one that is there.

        :raises ConfigurationError: the file cannot be written
        """
        target = os.fspath(path).replace("'", "''")
        with duckdb.connect(":memory:") as engine:
            engine.execute("SET TimeZone = 'UTC'")
            engine.execute(f"CREATE TABLE shelf AS SELECT {_shelf()} AS items")
            sql = self._orders()
            if self.lines:
                sql = _LINES.format(orders=sql)
            try:
                engine.execute(
                    f"COPY ({sql}) TO '{target}' (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE {_GROUP_ROWS})"
                )
            except duckdb.IOException as error:
                raise ConfigurationError(f"the sample cannot be written: {error}") from None

    def _orders(self) -> str:
        markets = [m for *m, weight in _MARKETS for _ in range(weight)]
        lists = {
            "sizes": _literal(_SIZES),
            "statuses": _literal(_STATUSES),
            "first": _literal(_FIRST),
            "last": _literal(_LAST),
            "shipping": _literal(_SHIPPING),
            "markets": _structs(("currency", "zone", "website", "rate"), markets),
        }
        counts = {
            "n_sizes": len(_SIZES),
            "n_statuses": len(_STATUSES),
            "n_first": len(_FIRST),
            "n_last": len(_LAST),
            "n_shipping": len(_SHIPPING),
            "n_markets": len(markets),
            "n_items": len(_NOUNS) * len(_COLORS),
        }
        sql = _ORDERS.format(
            seed=self.seed,
            orders=self.orders,
            customers=max(1, self.orders // 3),
            start=self.day or dt.date(2025, 1, 1),
            milliseconds=(1 if self.day else 365) * 86_400_000,
            lines=self.lines,
            **lists,
            **counts,
        )
        return f"SELECT * EXCLUDE (i) {self._changed()} FROM ({sql})"

    def _changed(self) -> str:
        """Return the REPLACE clause that makes some of the orders faulty or odd."""
        queues = [
            [changes[k % len(changes)] for k in range(count)]
            for pool, count in ((_FAULTS, self.faulty), (_ODDITIES, self.odd))
            for changes in [[c for c in pool if c.in_lines or not self.lines]]
        ]
        # both kinds spread over the whole file, whatever their numbers
        due = sorted((((k + 0.5) / len(q), c) for q in queues for k, c in enumerate(q)), key=lambda pair: pair[0])
        places: dict[_Change, list[int]] = {}
        for j, (_, change) in enumerate(due):
            places.setdefault(change, []).append((2 * j + 1) * self.orders // (2 * len(due)))
        columns: dict[str, list[str]] = {}
        for change, at in places.items():
            case = f"WHEN i IN ({', '.join(map(str, at))}) THEN {change.value}"
            columns.setdefault(change.column, []).append(case)
        replaced = [f'CASE {" ".join(cases)} ELSE "{name}" END AS "{name}"' for name, cases in columns.items()]
        return f"REPLACE ({', '.join(replaced)})" if replaced else ""


def _shelf() -> str:
    """Return SQL of the list of products: every noun in every color."""
    items = [
        (f"P{i:04d}", f"{name}, {color.lower()}", category, color, price + shade)
        for i, ((name, category, price), (shade, color)) in enumerate(itertools.product(_NOUNS, enumerate(_COLORS)))
    ]
    return _structs(("id", "name", "category", "color", "price"), items)


def _structs(names: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    structs = ({name: value for name, value in zip(names, row, strict=True)} for row in rows)
    return _list(f"{{{', '.join(f'{name}: {_value(value)}' for name, value in one.items())}}}" for one in structs)


def _literal(values: Iterable[object]) -> str:
    return f"[{', '.join(map(_value, values))}]"


def _value(value: object) -> str:
    return "'" + value.replace("'", "''") + "'" if isinstance(value, str) else str(value)
