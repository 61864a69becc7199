"""What cannot work has a message and an exit code of its own, and sends nothing."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import pyarrow as pa
import pytest

KEY = "a-key-that-nobody-may-see"

GOOD = {
    "id": "O-1",
    "date": dt.datetime(2025, 1, 1, tzinfo=dt.UTC),
    "totalValue": Decimal("10.00"),
    "customer": {"crmId": "c-1"},
    "products": [{"id": "p", "name": "n", "price": Decimal("10.00"), "quantity": 1}],
}


def test_a_wrong_key_stops_the_run_after_one_batch(pointed, ecdp, sample, monkeypatch):
    monkeypatch.setenv("ECDP_API_KEY", KEY)
    run = ecdp("push", sample(orders=2_000), "--json", "--verbose")

    assert run.code == 3
    assert run.json["summary"]["not_attempted"] == 2_000
    assert pointed.store.post_count == 1
    assert "the API key was refused" in run.err
    assert KEY not in run.err + run.out


def test_a_host_that_does_not_listen_stops_the_run(ecdp, sample, monkeypatch, closed_port):
    monkeypatch.setenv("ECDP_API_KEY", KEY)
    # a repetition waits half a second at most; the quota of retries is not what is tested here
    run = ecdp(
        "push", sample(orders=5), "--json", "--base-url", f"http://127.0.0.1:{closed_port}", "--connect-timeout", 0.2
    )

    assert run.code == 3
    assert run.json["summary"]["not_attempted"] == 5
    assert f"127.0.0.1:{closed_port}" in run.err


def test_an_empty_extract_is_an_error_unless_it_is_allowed(pointed, ecdp, sample):
    extract = sample(orders=0)

    for command in ("push", "check"):
        run = ecdp(command, extract)
        assert run.code == 2
        assert "has no orders" in run.err
        assert run.out == ""
        assert ecdp(command, extract, "--allow-empty", "--quiet").code == 0
    assert pointed.store.post_count == 0


def test_missing_columns_are_named_with_the_columns_that_are_there(pointed, ecdp, table):
    run = ecdp("push", table([{"id": "1", "date": GOOD["date"], "total": 1.0}]))

    assert run.code == 2
    for name in ("totalValue: required", "customer: required", "products: required", "total (double)"):
        assert name in run.err
    assert pointed.store.post_count == 0


def test_missing_columns_are_answered_with_those_that_may_be_meant_and_a_mapping(ecdp, table):
    row = {"order_no": "A-1", "created": GOOD["date"], "cust_mail": "a@example.com", "sku": "p", "qty": 1}
    run = ecdp("check", table([row]))

    assert run.code == 2
    for name, columns in {
        "id": "'order_no'",
        "date": "'created'",
        "customer": "'cust_mail'",
        "products": "'sku' and 'qty'",
    }.items():
        assert f"  - {name}: required, but there is no such column; did you mean {columns}?\n" in run.err
    assert "`ecdp mapping suggest EXTRACT` drafts a mapping" in run.err


def test_a_column_of_the_wrong_kind_is_named(pointed, ecdp, table):
    run = ecdp("push", table([GOOD | {"products": 3}]))

    assert run.code == 2
    assert "products" in run.err
    assert pointed.store.post_count == 0


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"id,date\n1,2025-01-01\n", "cannot be read as Parquet"),
        (b"", "cannot be read as Parquet"),
        (None, "no such file"),
    ],
)
def test_a_file_that_is_no_parquet_is_named(pointed, ecdp, tmp_path, content, message):
    path = tmp_path / "orders.parquet"
    if content is not None:
        path.write_bytes(content)
    run = ecdp("push", path)

    assert run.code == 2
    assert message in run.err
    assert str(path) in run.err
    assert pointed.store.post_count == 0


def test_a_mode_that_does_not_exist_is_refused_with_those_that_do(pointed, ecdp, sample):
    run = ecdp("push", sample(orders=1), "--mode", "Upsert")

    assert run.code == 2
    assert "'Upsert' is not a mode" in run.err
    assert "AddOrReplace" in run.err
    assert pointed.store.post_count == 0


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("SELEC * FROM extract", "does not parse"),
        ("SELECT no_such_column AS id FROM extract", "no_such_column"),
        ("SELECT * FROM orders", "cannot be run: there is no table 'orders'; select from extract\n"),
        ("SELECT * FROM extrct", "cannot be run: there is no table 'extrct'; did you mean 'extract'?\n"),
        ("SELECT * FROM '{secret}'", "cannot be run"),
        ("SELECT * FROM read_csv('{secret}')", "cannot be run"),
        ("COPY extract TO '{secret}'", "must be one SELECT"),
        ("SELECT 1; SELECT 2", "must be one SELECT"),
        ("INSTALL httpfs", "must be one SELECT"),
    ],
)
def test_a_sql_text_that_fails_or_leaves_the_extract_is_refused(pointed, ecdp, sample, tmp_path, sql, message):
    secret = tmp_path / "secret.csv"
    secret.write_text("id\n1\n", encoding="utf-8")
    path = tmp_path / "orders.sql"
    path.write_text(sql.format(secret=secret), encoding="utf-8")

    run = ecdp("push", sample(orders=1), "--sql", path)

    assert run.code == 2
    assert message in run.err
    assert "Traceback" not in run.err
    assert secret.read_text(encoding="utf-8") == "id\n1\n"
    assert pointed.store.post_count == 0


def test_a_sql_text_that_fails_on_a_value_does_not_show_it(pointed, ecdp, table, tmp_path):
    path = tmp_path / "orders.sql"
    path.write_text("SELECT * REPLACE (CAST(id AS INTEGER) AS id) FROM extract", encoding="utf-8")

    run = ecdp("push", table([GOOD | {"id": "jane@example.com"}]), "--sql", path)

    assert run.code == 2
    assert "failed on the data" in run.err
    assert "jane" not in run.err
    assert pointed.store.post_count == 0


@pytest.mark.parametrize(("content", "message"), [(None, "cannot be read"), (b"\xff\xfe", "not text in UTF-8")])
def test_a_sql_file_that_cannot_be_read_is_named(ecdp, pointed, sample, tmp_path, content, message):
    path = tmp_path / "orders.sql"
    if content is not None:
        path.write_bytes(content)

    run = ecdp("push", sample(orders=1), "--sql", path)

    assert run.code == 2
    assert f"the SQL file {path}" in run.err
    assert message in run.err
    assert pointed.store.post_count == 0


@pytest.mark.parametrize(
    ("option", "text", "begins"), [("--sql", "SELEC * FROM extract", "SELECT, WITH or FROM"), ("--mapping", "[1]", "{")]
)
def test_a_text_that_begins_in_another_way_is_taken_for_a_file(ecdp, sample, option, text, begins):
    run = ecdp("check", sample(orders=1), option, text)

    assert run.code == 2
    assert run.err.endswith(
        f" {text} cannot be read: No such file or directory; the text itself begins with {begins}\n"
    )


@pytest.mark.parametrize("option", ["--sql", "--mapping"])
def test_an_option_without_a_text_is_not_the_folder_of_the_shell(ecdp, sample, option):
    run = ecdp("check", sample(orders=1), option, " ")
    assert (run.code, run.err) == (2, f"ecdp: {option} is empty; give the text, or the name of a file\n")


def test_every_fault_of_an_order_is_listed(pointed, ecdp, table):
    text = pa.string()
    attributes = pa.list_(pa.struct([("name", text), ("value", text)]))
    schema = pa.schema(
        [
            ("id", text),
            ("date", pa.timestamp("us", "UTC")),
            ("timeZone", text),
            ("websiteId", pa.int64()),
            ("status", text),
            ("currency", text),
            ("totalValue", pa.float64()),
            ("returnsValue", pa.float64()),
            ("customer", pa.struct([("email", text), ("phone", text), ("crmId", text)])),
            (
                "products",
                pa.list_(
                    pa.struct(
                        [
                            ("id", text),
                            ("name", text),
                            ("price", pa.float64()),
                            ("quantity", pa.int64()),
                            ("returned", pa.int64()),
                            ("url", text),
                            ("imageUrl", text),
                            ("category", text),
                            ("productAttributes", attributes),
                        ]
                    )
                ),
            ),
            ("orderAttributes", attributes),
        ]
    )
    product = {
        "id": "p" * 129,
        "name": None,
        "price": float("nan"),
        "quantity": 2**31,
        "returned": -(2**31) - 1,
        "url": "u" * 2049,
        "imageUrl": "i" * 2049,
        "category": "c" * 2049,
        "productAttributes": [{"name": "a" * 257, "value": "v"}],
    }
    order = {
        "id": "O" * 129,
        "date": None,
        "timeZone": "Mars/Olympus_Mons",
        "websiteId": 2**31,
        "status": "shipped",
        "currency": "EURO",
        "totalValue": None,
        "returnsValue": float("inf"),
        "customer": {"email": "e" * 321, "phone": "1" * 21, "crmId": "c" * 129},
        "products": [None, product],
        "orderAttributes": [{"name": None, "value": "v"}, {"name": "", "value": "v"}],
    }
    run = ecdp("push", table([order], schema), "--json")

    assert run.code == 1
    reason = run.json["results"][0]["reason"]
    assert sorted(part.partition(":")[0] for part in reason.split("; ")) == sorted(
        [
            "id",
            "date",
            "timeZone",
            "websiteId",
            "status",
            "currency",
            "totalValue",
            "returnsValue",
            "customer.email",
            "customer.phone",
            "customer.crmId",
            "products[0]",
            "products[1].id",
            "products[1].name",
            "products[1].price",
            "products[1].quantity",
            "products[1].returned",
            "products[1].url",
            "products[1].imageUrl",
            "products[1].category",
            "products[1].productAttributes[0].name",
            "orderAttributes[0].name",
            "orderAttributes[1].name",
        ]
    )
    for private in ("eeee", "1111", "cccc"):
        assert private not in run.out
    assert pointed.store.post_count == 0


def test_without_a_key_nothing_is_sent(pointed, ecdp, sample, monkeypatch):
    monkeypatch.delenv("ECDP_API_KEY")
    for arguments in (["push", sample(orders=1)], ["get", "1"], ["status", "1", "paid"], ["delete", "1"]):
        run = ecdp(*arguments)
        assert run.code == 2
        assert run.err == "ecdp: no API key: set ECDP_API_KEY (in ECDP: Settings > API)\n"
    assert pointed.store.requests == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--batch-size", "0"], "batch_size must be a whole number, 1 or more, not"),
        (["--max-in-flight", "0"], "max_in_flight"),
        (["--results-limit", "-1"], "results_limit must be a whole number, 0 or more, not"),
        (["--timezone", "Mars/Olympus_Mons"], "must be an IANA time zone, such as Europe/Warsaw, not 'Mars"),
        (["--matching", "mail"], "'mail' is not a matching mode of the Orders API: use one of email, phone, crmId"),
        (["--match-by", "mail"], "'mail' is not a matching mode of the Orders API: use one of email, phone, crmId"),
        (["--warnings-as-errors", "negative_quantity,nonsense"], "there is no warning nonsense"),
        (["--base-url", "http://ecdp.example.com"], "plain http"),
        (["--base-url", "ftp://ecdp"], "the scheme https"),
        (["--ca-bundle", "absent.pem"], "there is no such file: 'absent.pem'"),
        (["--read-timeout", "0"], "read_timeout"),
    ],
)
def test_invalid_settings_are_refused(pointed, ecdp, sample, arguments, message):
    run = ecdp("push", sample(orders=1), *arguments)

    assert run.code == 2
    assert message in run.err
    assert run.err.startswith("ecdp: ")
    assert pointed.store.requests == []


def test_verbose_shows_where_an_error_comes_from_and_still_no_key(pointed, ecdp, tmp_path, monkeypatch):
    monkeypatch.setenv("ECDP_API_KEY", KEY)
    # a path that holds the key by mistake
    run = ecdp("push", tmp_path / KEY, "--verbose")

    assert run.code == 2
    assert "Traceback" in run.err
    assert KEY not in run.err
    assert pointed.store.requests == []


def test_a_push_that_reaches_its_longest_time_is_resumed_by_the_same_command(pointed, ecdp, sample, tmp_path):
    command = ["push", sample(orders=5), "--results", tmp_path / "results"]
    # over before anything is sent, whatever the machine does
    run = ecdp(*command, "--max-duration", "0.000001")
    assert run.code == 3
    assert "max_duration" in run.err
    assert pointed.store.count() == 0
    assert ecdp(*command, "--max-duration", "2h").code == 0
    assert pointed.store.count() == 5


def test_a_base_url_does_without_a_scheme_on_this_machine(pointed, ecdp, sample):
    assert ecdp("push", sample(orders=1), "--base-url", pointed.url.removeprefix("http://")).code == 0
    assert pointed.store.count() == 1
