"""The shop that sample orders are placed in, and the queries that make them up.

Every value comes from a hash of the seed and a position: a seed gives the same orders in every run, on any number of
threads. People are invented; their e-mail domains are those that RFC 2606 keeps for examples.
"""

from __future__ import annotations

import itertools

_PRODUCTS = (  # name, category, price in EUR
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
    ("Bluetooth Speaker", "Electronics > Audio", 79),
    ("Garden Shears", "Garden > Tools", 27),
    ("Board Game", "Toys > Games", 33),
    ("Wooden Train", "Toys > Wood", 49),
    ("Linen Towel", "Home > Bath", 18),
    ("Bicycle Light", "Sports > Cycling", 24),
    ("Reading Glasses", "Beauty > Care", 14),
)
_COLORS = ("Black", "White", "Blue", "Green", "Red", "Sand", "Grey", "Żółty")
_MARKETS = (  # share of 25, currency, IANA zone, website, units of the currency for one EUR
    (7, "EUR", "Europe/Berlin", 1, 1),
    (3, "EUR", "Europe/Paris", 2, 1),
    (5, "PLN", "Europe/Warsaw", 3, 4),
    (3, "GBP", "Europe/London", 4, 1),
    (3, "USD", "America/New_York", 5, 1),
    (2, "USD", "America/Los_Angeles", 5, 1),
    (1, "CZK", "Europe/Prague", 6, 25),
    (1, "AUD", "Australia/Sydney", 7, 2),
)
#: Values that the query picks by a number; entries that appear more than once are picked more often.
SHOP = {
    "items": [
        {"id": f"P{i:04d}", "name": f"{name}, {color.lower()}", "category": category, "color": color, "price": price}
        for i, ((name, category, price), color) in enumerate(itertools.product(_PRODUCTS, _COLORS))
    ],
    "markets": [
        {"currency": currency, "zone": zone, "website": website, "rate": rate}
        for share, currency, zone, website, rate in _MARKETS
        for _ in range(share)
    ],
    "statuses": ["placed"] * 3 + ["paid"] * 5 + ["completed"] * 11 + ["canceled"],
    "sizes": [1] * 8 + [2] * 5 + [3] * 3 + [4] * 2 + [5, 6],
    "shippings": ["Standard", "Standard", "Standard", "Express", "Pickup point"],
    "firsts": ["anna", "jan", "marie", "tom", "zofia", "luca", "emma", "oskar", "nina", "felix", "julia", "max"],
    "lasts": ["nowak", "schmidt", "martin", "smith", "jones", "weber", "dubois", "kowalska", "brown", "wagner"],
}

#: Orders without faults; to be formatted with seed, orders, customers, start, milliseconds. `i` counts from 0.
ORDERS = """
WITH dice AS (
    SELECT i, CAST(md5_number_upper(text) >> 1 AS BIGINT) AS a, CAST(md5_number_lower(text) >> 1 AS BIGINT) AS b
    FROM (SELECT i, '{seed}:order:' || i AS text FROM range({orders}) AS r(i))
), bought AS (
    -- the square makes a few customers order often
    SELECT *, CAST(floor({customers} * pow((a % 1000003) / 1000003.0, 2)) AS BIGINT) AS c,
        CAST(md5_number_upper('{seed}:customer:' || c) >> 1 AS BIGINT) AS k,
        list_transform(
            range(pick(sizes, b)),
            lambda x: CAST(md5_number_lower('{seed}:product:' || i || ':' || x) >> 1 AS BIGINT)
        ) AS rolls,
        pick(markets, k) AS m, pick(statuses, b >> 8) AS s
    FROM dice, shop
), packed AS (
    SELECT *, list_transform(list_transform(rolls, lambda q: {{'q': q, 'item': pick(items, q)}}), lambda x: {{
        'id': x.item.id,
        'name': x.item.name,
        'price': CAST(x.item.price * m.rate - 0.01 AS DECIMAL(12, 2)),
        'quantity': CASE WHEN (x.q >> 16) % 4 = 0 THEN 2 + (x.q >> 20) % 4 ELSE 1 END,
        'returned': CAST(s = 'completed' AND (x.q >> 24) % 40 = 0 AS BIGINT),
        'url': 'https://shop.example.com/products/' || x.item.id,
        'imageUrl': 'https://shop.example.com/images/' || x.item.id || '.jpg',
        'category': x.item.category,
        'productAttributes': [{{'name': 'Color', 'value': x.item.color}}]
    }}) AS products
    FROM bought
)
SELECT i, format('ORD-{{:08d}}', i + 1) AS id,
    TIMESTAMPTZ '{start} 00:00:00+00'
        + to_milliseconds(CAST(floor((i + (a % 1000033) / 1000033.0) / {orders} * {milliseconds}) AS BIGINT)) AS date,
    m.zone AS "timeZone", CAST(m.website AS INTEGER) AS "websiteId", s AS status, m.currency AS currency,
    CAST(list_sum(list_transform(products, lambda p: p.price * p.quantity)) AS DECIMAL(12, 2)) AS "totalValue",
    CAST(list_sum(list_transform(products, lambda p: p.price * p.returned)) AS DECIMAL(12, 2)) AS "returnsValue",
    {{
        'email': CASE WHEN (k >> 8) % 8 > 0 THEN pick(firsts, k >> 16) || '.' || pick(lasts, k >> 24) || c
            || CASE WHEN (k >> 32) % 4 > 0 THEN '@example.com' ELSE '@example.org' END END,
        'phone': CASE WHEN (k >> 36) % 2 > 0 THEN format('+1555{{:07d}}', c % 10000000) END,
        'crmId': CASE WHEN (k >> 8) % 8 = 0 OR (k >> 40) % 8 > 0 THEN format('CRM-{{:07d}}', c) END
    }} AS customer,
    products,
    [{{'name': 'Shipping Method', 'value': pick(shippings, b >> 16)}}]
        || CASE WHEN (b >> 24) % 8 = 0 THEN [{{'name': 'Gift Wrap', 'value': 'Yes'}}] ELSE [] END
        AS "orderAttributes"
FROM packed
"""

#: Order lines, of the query `orders`.
LINES = """
SELECT id AS order_id, date AS ordered_at, "timeZone" AS time_zone, "websiteId" AS shop_id, status AS order_status,
    currency, customer.email AS customer_email, customer.phone AS customer_phone, customer."crmId" AS customer_number,
    "orderAttributes"[1].value AS shipping_method, len("orderAttributes") > 1 AS gift_wrap,
    line, p.id AS sku, p.name AS product_name, p.price AS unit_price,
    p.quantity AS quantity, p.returned AS returned, p.url AS product_url, p."imageUrl" AS image_url,
    p.category AS category, p."productAttributes"[1].value AS color
FROM (SELECT *, unnest(products) AS p, generate_subscripts(products, 1) AS line FROM ({orders}))
"""

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
    [{'name': 'Shipping Method', 'value': any_value(shipping_method)}]
        || CASE WHEN bool_or(gift_wrap) THEN [{'name': 'Gift Wrap', 'value': 'Yes'}] ELSE [] END
                                   AS "orderAttributes"
FROM extract
GROUP BY order_id
"""
