"""Which files a run reads, by which names, and which column is which field."""

from __future__ import annotations

import json
from decimal import Decimal

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from airflow_provider_ecdp.cli.parser import parser
from airflow_provider_ecdp.cli.sources import named, open_orders
from airflow_provider_ecdp.errors import ConfigurationError
from airflow_provider_ecdp.sample import Sample

JOIN = """
SELECT o.id, o.date, o.total AS "totalValue", {'email': o.email} AS customer,
    list({'id': i.sku, 'name': i.sku, 'price': i.price, 'quantity': 1} ORDER BY i.sku) AS products
FROM orders AS o JOIN items AS i ON i.order_id = o.id GROUP BY ALL
"""


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """The working directory: names and paths that exist are told apart by what is there."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def shop(folder):
    """Orders and their items, in two extracts, and the SQL file that joins them."""
    ids = [f"O-{n}" for n in range(1, 7)]
    orders = [
        {"id": i, "date": "2026-11-01T10:00:00Z", "total": Decimal("4.00"), "email": f"{i}@example.com"} for i in ids
    ]
    items = [{"order_id": i, "sku": sku, "price": Decimal("2.00")} for i in ids for sku in "ab"]
    for name, rows in (("orders", orders), ("items", items)):
        pq.write_table(pa.Table.from_pylist(rows), folder / f"{name}.parquet")
    (folder / "join.sql").write_text(JOIN, encoding="utf-8")
    return folder


def halves(path):
    """Cut a file in two files."""
    rows = pq.read_table(path)
    for number, part in enumerate((rows.slice(0, 3), rows.slice(3))):
        pq.write_table(part, path.with_name(f"{path.stem}-{number}.parquet"))


# names


def test_extracts_with_names_are_joined_by_the_sql_text(pointed, ecdp, shop):
    run = ecdp("push", "orders=orders.parquet", f"items={shop}/items.parquet", "--sql", "join.sql", "--json")

    assert run.code == 0, run.err
    assert run.json["summary"]["accepted"] == pointed.store.count() == 6
    assert [p["id"] for p in pointed.store.get("O-3")["products"]] == ["a", "b"]


@pytest.mark.usefixtures("shop")
def test_check_shows_the_columns_of_each_extract(ecdp):
    pq.write_table(pq.read_table("items.parquet").append_column("colour", pa.array(["red"] * 12)), "items.parquet")
    run = ecdp("check", "orders=orders.parquet", "items=items.parquet", "--sql", "join.sql")

    assert run.code == 0, run.err
    assert run.out.startswith("6 orders in orders (orders.parquet), items (items.parquet): 6 valid, 0 invalid\n")
    assert "Columns used: orders.id, orders.date, orders.total, orders.email, items.order_id, items.sku" in run.out
    assert "Columns ignored: items.colour\n" in run.out


def test_the_same_name_again_is_another_path_of_that_extract(ecdp, shop):
    halves(shop / "orders.parquet")
    arguments = ["orders=orders-0.parquet", "items=items.parquet", "orders=orders-1.parquet", "--sql", "join.sql"]

    assert ecdp("check", *arguments, "--json").json["summary"]["total"] == 6


def test_urls_and_globs_have_names_too(ecdp, shop):
    memory = fsspec.filesystem("memory")
    memory.pipe("/shop/2026=11/items.parquet", (shop / "items.parquet").read_bytes())
    halves(shop / "orders.parquet")
    try:
        arguments = ["orders=orders-?.parquet", "items=memory://shop/2026=11/items.parquet", "--sql", "join.sql"]
        run = ecdp("check", *arguments, "--json")
    finally:
        memory.rm("/shop", recursive=True)

    assert run.code == 0, run.err
    assert run.json["summary"]["total"] == 6


@pytest.mark.usefixtures("shop")
def test_names_need_an_sql_text(ecdp):
    run = ecdp("check", "orders=orders.parquet", "items=items.parquet")
    assert run.code == 2
    assert "extracts with names need an SQL text" in run.err


@pytest.mark.usefixtures("shop")
def test_an_extract_that_is_not_there_is_named(ecdp):
    run = ecdp("check", "orders=orders.parquet", "items=absent.parquet", "--sql", "join.sql")
    assert run.code == 2
    assert run.err == "ecdp: the extract items: absent.parquet: no such file or folder\n"


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        (["a.parquet"], {"extract": ["a.parquet"]}),
        (["a", "b"], {"extract": ["a", "b"]}),
        (["o=a", "i=b", "o=c"], {"o": ["a", "c"], "i": ["b"]}),
        (["o=s3://bucket/dt=1/x?y=z"], {"o": ["s3://bucket/dt=1/x?y=z"]}),
        (["s3://bucket/dt=1/x"], {"extract": ["s3://bucket/dt=1/x"]}),
        (["https://host/x?signature=abc"], {"extract": ["https://host/x?signature=abc"]}),
        (["data/dt=1", "./dt=1", "/dt=1", "1dt=1", "d-t=1", "=1"], None),
        (["dt=there"], {"extract": ["dt=there"]}),
        (["dt=th*"], {"extract": ["dt=th*"]}),
        (["dt=absent"], {"dt": ["absent"]}),
        (["o=dt=there"], {"o": ["dt=there"]}),
        (["extract=a"], {"extract": ["a"]}),
        (["o=" + "x" * 5_000], {"o": ["x" * 5_000]}),
    ],
)
def test_what_is_a_name_and_what_is_a_path(folder, arguments, found):
    (folder / "dt=there").mkdir()
    assert named(arguments) == (found or {"extract": arguments})


@pytest.mark.parametrize("arguments", [["o=a", "b"], ["b", "o=a"], ["o=a", "dt=there"]])
def test_all_extracts_have_names_or_none(folder, arguments):
    (folder / "dt=there").mkdir()
    with pytest.raises(ConfigurationError, match="has no name, but others do; write NAME=PATH for each"):
        named(arguments)


def test_an_extract_that_is_called_extract_can_have_others_beside_it(ecdp, shop):
    (shop / "join.sql").write_text(JOIN.replace("FROM orders AS", "FROM extract AS"), encoding="utf-8")
    run = ecdp("check", "extract=orders.parquet", "items=items.parquet", "--sql", "join.sql", "--json")
    assert run.code == 0, run.err


# partitions


@pytest.fixture(scope="module")
def days(tmp_path_factory):
    """Ten orders of each of three days, in folders as Hive names them."""
    lake = tmp_path_factory.mktemp("lake")
    for day in (1, 2, 3):
        for shop in ("pl", "de"):
            inner = lake / f"dt=2026-11-0{day}" / f"shop={shop}"
            inner.mkdir(parents=True)
            Sample(orders=5, seed=day).write(inner / "part.parquet")
    return lake


@pytest.mark.parametrize(
    ("options", "total"),
    [
        ([], 30),
        (["--partition", "dt=2026-11-02"], 10),
        (["--partition", "dt=2026-11-02", "--partition", "dt=2026-11-03"], 20),
        (["--partition", "dt=2026-11-02", "--partition", "shop=pl"], 5),
        (["--partition", "extract.shop=pl"], 15),
    ],
)
def test_only_the_partitions_that_are_requested_are_read(ecdp, days, options, total):
    assert ecdp("check", days, *options, "--json").json["summary"]["total"] == total


@pytest.mark.parametrize("path", ["dt=2026-11-02", "dt=2026-11-02/", "dt=2026-11-02/*/*.parquet", "./dt=2026-11-02"])
def test_a_folder_of_a_partition_is_a_path(ecdp, days, monkeypatch, path):
    monkeypatch.chdir(days)
    run = ecdp("check", path, "--json")
    assert run.json["summary"]["total"] == 10
    assert run.json["columns"]["ignored"] == ["dt", "shop"]


def test_a_partition_can_be_of_one_extract_only(ecdp, days, folder):
    pq.write_table(pa.table({"shop": ["pl"]}), "shops.parquet")
    (folder / "of.sql").write_text("SELECT o.* FROM orders AS o SEMI JOIN shops USING (shop)", encoding="utf-8")
    arguments = ["check", f"orders={days}", "shops=shops.parquet", "--sql", "of.sql"]

    one = ecdp(*arguments, "--partition", "orders.dt=2026-11-02", "--json")
    assert one.json["summary"]["total"] == 5
    every = ecdp(*arguments, "--partition", "dt=2026-11-02")
    assert every.code == 2
    assert (
        "ecdp: the extract shops: shops.parquet: no folder is called dt=...; its paths have no partitions" in every.err
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--partition", "dt=2026-11-09"], "there is no partition dt=2026-11-09"),
        (["--partition", "day=1"], "no folder is called day=...; partitions are by dt, shop"),
        (["--partition", "dt"], "partitions: 'dt' is not COLUMN=VALUE or NAME.COLUMN=VALUE"),
        (["--partition", "=1"], "partitions: '=1' is not COLUMN=VALUE"),
        (["--partition", "dt="], "partitions: must be a value or a list of values"),
        (["--partition", "orders.dt=1"], "partitions: there is no extract orders; there are extract"),
        (["--partition-by", "nothing"], "partition_by: there is no column 'nothing'"),
        (["--partition-by", "orders=id"], "partition_by: there is no extract orders; there are extract"),
        (["--partition-by", "id", "--partition-by", "date"], "one column for all extracts, or NAME=COLUMN once"),
        (["--partition-by", "a=id", "--partition-by", "a=x"], "one column for all extracts, or NAME=COLUMN once"),
    ],
)
def test_invalid_partitions_are_refused(ecdp, days, options, message):
    run = ecdp("check", days, *options)
    assert run.code == 2
    assert message in run.err


@pytest.mark.parametrize(
    ("options", "settings"),
    [
        ([], None),
        (["--partition-by", "order_id"], "order_id"),
        (["--partition-by", "orders=id", "--partition-by", "items=order_id"], {"orders": "id", "items": "order_id"}),
    ],
)
@pytest.mark.usefixtures("shop")
def test_extracts_are_cut_by_the_columns_that_are_named(options, settings):
    arguments = ["check", "orders=orders.parquet", "items=items.parquet", "--sql", "join.sql", *options]
    with open_orders(parser().parse_args(arguments)) as orders:
        assert orders.settings.partition_by == settings
        assert sum(len(batch) for batch in orders.read()) == 6


# mapping

MAPPING = {
    "id": "order_id",
    "date": "ordered_at",
    "totalValue": {"sum": ["unit_price", "quantity"]},
    "currency": {"value": "PLN"},
    "customer": {"crmId": "customer_number"},
    "products": {
        "id": "sku",
        "name": "product_name",
        "price": "unit_price",
        "quantity": "quantity",
        "order_by": "line",
    },
}


@pytest.fixture
def lines(folder):
    Sample(orders=40, lines=True).write(folder / "lines.parquet")
    (folder / "lines.json").write_text(json.dumps(MAPPING), encoding="utf-8")
    return folder / "lines.parquet"


def test_order_lines_become_orders_by_a_mapping(pointed, ecdp, lines):
    found = ecdp("check", lines, "--mapping", "lines.json", "--json").json
    run = ecdp("push", lines, "--mapping", "lines.json", "--json")

    assert run.code == 0, run.err
    assert run.json["summary"]["accepted"] == found["summary"]["to_send"] == pointed.store.count() == 40
    assert pointed.store.get("ORD-00000007")["currency"] == "PLN"
    products = sum(len(pointed.store.get(one)["products"]) for one in pointed.store.ids())
    assert products == pq.read_metadata(lines).num_rows == found["summary"]["rows"]


def test_the_screen_shows_where_each_field_comes_from(ecdp, lines):
    run = ecdp("check", lines, "--mapping", "lines.json")

    assert "Fields by the mapping:\n  id: column order_id\n" in run.out
    assert "\n  currency: constant PLN\n" in run.out
    assert "\n  totalValue: sum of unit_price * quantity over the lines\n" in run.out
    assert "\n  products: lines with the same id, sorted by line\n" in run.out
    assert "Columns ignored: shop_id, order_status, currency, shipping_method" in run.out


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "the mapping file lines.json cannot be read: No such file or directory"),
        (b"\xff\xfe", "the mapping file lines.json is not text in UTF-8"),
        (b"\n", "the mapping file lines.json is empty; was it written to its end?"),
        (b'\xef\xbb\xbf{"id": "ordr_id"}', "id: there is no column 'ordr_id'"),
        (b"{id: 1}", "mapping: not valid JSON: "),
        (b"[]", "mapping: must be a dict of field names and their sources, not an empty list"),
        (b'{"id": "ordr_id"}', "id: there is no column 'ordr_id'; did you mean 'order_id'"),
        (b'{"customer.mail": "sku"}', "customer.mail is not a field of the API; did you mean 'customer.email'"),
    ],
)
def test_a_mapping_that_cannot_be_used_is_refused(ecdp, lines, folder, text, message):
    (folder / "lines.json").unlink()
    if text is not None:
        (folder / "lines.json").write_bytes(text)
    run = ecdp("check", lines, "--mapping", "lines.json")

    assert run.code == 2
    assert message in run.err


def test_a_mapping_and_an_sql_text_are_one_too_many(ecdp, lines, folder):
    (folder / "lines.sql").write_text("SELECT 1", encoding="utf-8")
    run = ecdp("check", lines, "--mapping", "lines.json", "--sql", "lines.sql")
    assert run.code == 2
    assert "sql and mapping exclude each other; keep one of them" in run.err


@pytest.mark.parametrize(
    "text",
    ["SELECT * FROM extract", " select * from extract", "-- all\nFROM extract", "/* a\nb */ (FROM extract)"],
)
def test_an_sql_text_is_given_as_it_is(ecdp, sample, text):
    run = ecdp("check", sample(orders=2), "--sql", text, "--json")

    assert run.code == 0, run.err
    assert run.json["summary"]["total"] == 2


@pytest.mark.parametrize("comment", ["", "// the totals of lines\n", "/* which is which */ "])
def test_a_mapping_is_given_as_it_is(ecdp, lines, comment):
    run = ecdp("check", lines, "--mapping", comment + json.dumps(MAPPING), "--json")

    assert run.code == 0, run.err
    assert run.json["fields"]["id"] == "column order_id"


def test_a_file_that_is_called_as_a_text_begins_is_read(ecdp, sample, folder):
    (folder / "select orders").write_text("SELECT * FROM extract LIMIT 1", encoding="utf-8")
    run = ecdp("check", sample(orders=2), "--sql", "select orders", "--json")

    assert run.json["summary"]["total"] == 1
