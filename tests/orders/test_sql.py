"""SQL texts: what they may be, that they are locked in, and that their errors name what helps and tell no value."""

from __future__ import annotations

import signal
import traceback

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from airflow_provider_ecdp.errors import CancelledError, ColumnsError, SqlError
from airflow_provider_ecdp.orders.engine.connection import locked_engine, running, statement


@pytest.fixture(scope="module")
def engine():
    with locked_engine(memory_limit="64MB", threads=1) as engine:
        yield engine


@pytest.fixture
def shape(read, with_columns):
    """Shape two good orders by an SQL text, and return the ids that come out."""
    return lambda sql: [row.order_id for row in read(with_columns(id=pa.array(["1", "2"])), sql=sql)]


# one SELECT

ONE_SELECT = [
    "SELECT * FROM extract",
    "select * from extract;",
    "SELECT * FROM extract ; ",
    "SELECT * FROM extract;;",
    "SELECT * FROM extract ; -- that is all",
    "SELECT * FROM extract; /* a; b */ -- c;",
    "SELECT * FROM extract -- all of it",
    "-- orders;\nSELECT * FROM extract\n-- done;\n",
    "/* ; */ FROM extract",
    "(SELECT * FROM extract)",
    "TABLE extract",
    "WITH x AS (SELECT * FROM extract), y AS (FROM x) SELECT * FROM y",
    "SELECT * FROM (SELECT * FROM extract) AS o",
    "FROM query_table('extract')",
]


@pytest.mark.parametrize("sql", ONE_SELECT)
def test_a_select_may_end_and_be_explained_as_people_write_it(engine, sql):
    engine.register("extract", pa.table({"id": ["1"]}))
    inner = statement(sql, engine)
    assert engine.sql(f"SELECT * FROM ({inner}\n) AS o").fetchall() == [("1",)]


@pytest.mark.parametrize(
    ("columns", "repeated"), [("*, 'EUR' AS currency", "currency"), ("*, 1 AS ID, 2 AS DATE", "id, date")]
)
def test_a_field_that_the_result_has_twice_is_refused(read, with_columns, columns, repeated):
    # the engine itself takes the first: orders would keep the currency that the text replaces
    first = repeated.partition(",")[0]
    with pytest.raises(SqlError) as refused:
        read(with_columns(currency=pa.array(["PLN"])), sql=f"SELECT {columns} FROM extract")
    assert str(refused.value) == (
        f"the SQL text's result has more than one column called {repeated}; keep one: "
        f"SELECT * REPLACE (... AS {first}) or SELECT * EXCLUDE ({first}), ... AS {first}"
    )


def test_other_columns_may_be_there_twice(shape):
    assert shape("SELECT o.*, 1 AS shop, 2 AS shop, 3 AS id_1 FROM extract AS o") == ["1", "2"]


def test_semicolons_in_text_and_names_stay(engine):
    inner = statement("SELECT 'ż;' AS \"a;b\", $$;$$ AS c; -- ;", engine)
    assert engine.sql(f"SELECT * FROM ({inner}\n)").fetchall() == [("ż;", ";")]


def test_a_comment_at_the_end_does_not_swallow_the_query_around_it(shape):
    assert shape("SELECT * FROM extract; -- all") == ["1", "2"]


@pytest.mark.parametrize(
    ("sql", "kinds"),
    [
        ("", "nothing"),
        ("  \n", "nothing"),
        ("-- SELECT 1", "nothing"),
        (";", "nothing"),
        ("SELECT 1; SELECT 2", "SELECT, SELECT"),
        ("SELECT 1; DROP VIEW extract", "SELECT, DROP"),
        ("COPY extract TO 'leak.csv'", "COPY"),
        ("COPY (SELECT * FROM extract) TO 'leak.parquet'", "COPY"),
        ("ATTACH 'other.db'", "ATTACH"),
        ("INSTALL httpfs", "LOAD"),
        ("LOAD httpfs", "LOAD"),
        ("SET enable_external_access = true", "SET"),
        ("RESET enable_external_access", "SET"),
        ("PRAGMA enable_profiling", "PRAGMA"),
        ("CALL pragma_version()", "CALL"),
        ("EXPORT DATABASE 'leak'", "EXPORT"),
        ("CREATE TABLE x AS SELECT 1", "CREATE"),
        ("INSERT INTO extract SELECT 1", "INSERT"),
        ("DELETE FROM extract", "DELETE"),
        ("UPDATE extract SET id = 1", "UPDATE"),
        ("EXPLAIN SELECT 1", "EXPLAIN"),
        ("PREPARE p AS SELECT 1", "PREPARE"),
        ("BEGIN", "TRANSACTION"),
    ],
)
def test_anything_but_one_select_is_refused_by_its_kind(engine, sql, kinds):
    with pytest.raises(SqlError, match=f"must be one SELECT from the extract, not {kinds}$"):
        statement(sql, engine)


@pytest.mark.parametrize("sql", ["SELEC * FROM extract", "SELECT", "SELECT * FROM (extract", "SELECT 'a"])
def test_what_does_not_parse_says_so(engine, sql):
    with pytest.raises(SqlError, match="the SQL text does not parse: "):
        statement(sql, engine)


# locked in

SECRET = "customer-4711"


@pytest.fixture
def files(tmp_path):
    """Files that an SQL text must not read, each with a secret."""
    (tmp_path / "secret.csv").write_text(f"id\n{SECRET}\n")
    (tmp_path / "secret.json").write_text(f'{{"id": "{SECRET}"}}')
    pq.write_table(pa.table({"id": [SECRET]}), tmp_path / "secret.parquet")
    return tmp_path


READERS = [
    "read_parquet('{}/secret.parquet')",
    "parquet_scan('{}/secret.parquet')",
    "read_csv('{}/secret.csv')",
    "read_csv_auto('{}/*.csv')",
    "read_json('{}/secret.json')",
    "read_text('{}/secret.csv')",
    "read_blob('{}/secret.csv')",
    "glob('{}/*')",
    "parquet_metadata('{}/secret.parquet')",
    "parquet_schema('{}/secret.parquet')",
    "'{}/secret.parquet'",
    "'{}/secret.csv'",
    "read_csv('https://127.0.0.1:1/secret.csv')",
    "read_parquet('s3://bucket/secret.parquet')",
]


def test_an_sql_text_reads_no_file(files):
    """The same texts read the files where the engine is not locked."""
    with locked_engine(memory_limit="64MB", threads=1) as locked, duckdb.connect(":memory:") as free:
        for reader in READERS:
            sql = f"SELECT count(*) FROM {reader.format(files)}"
            statement(sql, locked)
            with pytest.raises(duckdb.Error) as refused:
                locked.sql(sql).fetchall()
            assert SECRET not in str(refused.value)
            if "://" not in reader:
                assert free.sql(sql).fetchall()[0][0]


def test_an_sql_text_that_reads_a_file_is_an_sql_error(shape, files):
    for reader in (READERS[0], READERS[2], READERS[5], READERS[-4]):
        with pytest.raises(SqlError, match="the SQL text cannot be run: ") as refused:
            shape(f"SELECT * FROM {reader.format(files)}")
        assert SECRET not in str(refused.value)


def test_a_file_that_is_read_only_with_the_data_is_an_sql_error_too(open_orders, with_columns, files):
    sql = f"SELECT * REPLACE (Delimiter AS id) FROM extract, sniff_csv('{files}/secret.csv')"
    with open_orders(with_columns(id=pa.array(["1"])), sql=sql) as orders, pytest.raises(SqlError) as refused:
        list(orders.read())
    assert SECRET not in str(refused.value)


def test_an_sql_text_sees_no_python_variable(shape):
    secrets = pa.table({"id": [SECRET]})
    for name in ("secrets", "SECRET", "files", "READERS"):
        with pytest.raises(SqlError, match=f"there is no table '{name}'; select from extract"):
            shape(f"SELECT * FROM {name}")
    assert len(secrets) == 1


def test_an_sql_text_sees_no_environment_and_no_secrets_of_the_engine(shape, monkeypatch):
    monkeypatch.setenv("ECDP_API_KEY", SECRET)
    with pytest.raises(SqlError, match="Scalar Function with name getenv does not exist"):
        shape("SELECT * REPLACE (getenv('ECDP_API_KEY') AS id) FROM extract")
    with pytest.raises(SqlError, match="Permission Error: Cannot access directory"):
        shape("SELECT e.* REPLACE (name AS id) FROM extract AS e, duckdb_secrets()")


def test_the_engine_cannot_be_unlocked():
    with locked_engine(memory_limit="64MB", threads=1) as engine:
        for setting in ("enable_external_access = true", "lock_configuration = false", "threads = 4"):
            with pytest.raises(duckdb.Error, match=r"locked|Cannot"):
                engine.execute(f"SET {setting}")
        for command in ("INSTALL httpfs", "LOAD httpfs", "ATTACH 'other.db'", "COPY (SELECT 1) TO 'leak.csv'"):
            with pytest.raises(duckdb.Error):
                engine.execute(command)


# errors


def test_an_sql_text_that_does_not_bind_says_what_the_extract_has(shape):
    with pytest.raises(SqlError) as refused:
        shape("SELECT order_no AS id FROM extract")

    message = str(refused.value)
    assert message.startswith('the SQL text cannot be run: Binder Error: Referenced column "order_no" not found')
    assert message.endswith("The extract has: id, date, totalValue, customer, products")


def test_half_floats_are_numbers_and_no_text(read, with_columns):
    source = with_columns(weight=pa.array([1.5], pa.float32()).cast(pa.float16()))
    with pytest.raises(ColumnsError, match="currency: must be text, not float"):
        read(source, sql="SELECT *, weight AS currency FROM extract")


def test_what_an_sql_text_returns_must_be_orders(shape):
    with pytest.raises(ColumnsError) as refused:
        shape("SELECT id, 1.5 AS total FROM extract")
    message = str(refused.value)
    assert message.startswith("the SQL text's result is missing columns that an order needs:")
    assert "The SQL text's result has: id (string), total (decimal128(2, 1))" in message


def test_a_type_that_arrow_does_not_show_is_no_crash(shape):
    with pytest.raises(ColumnsError, match="cannot be read as orders: Binder Error"):
        shape("SELECT * REPLACE ('101'::BIT AS id) FROM extract")


def test_types_of_the_engines_own_are_taken(read, with_columns):
    """As sums (HUGEINT), enumerations, UUID, JSON and maps come out of an SQL text."""
    sql = """
        SELECT * REPLACE (
            CAST('00000000-0000-0000-0000-000000000007' AS UUID) AS id,
            (SELECT sum(x) FROM (VALUES (1::BIGINT), (2)) AS t(x)) AS totalValue,
            [{'id': 1, 'name': CAST('{"a":1}' AS JSON), 'price': 1.50, 'quantity': 2::HUGEINT}] AS products
        ),
        'paid'::ENUM('paid', 'placed') AS status, 7::UBIGINT AS website_id, 'UTC'::ENUM('UTC') AS time_zone,
        MAP {'Weight': 1.5} AS order_attributes, 1.5::DECIMAL(5, 3) AS returns_value
        FROM extract
    """
    (row,) = read(with_columns(note=pa.array(["x"])), sql=sql)
    sent = row.sent

    assert (sent["id"], sent["totalValue"]) == ("00000000-0000-0000-0000-000000000007", "3")
    assert sent["products"] == [{"id": "1", "name": '{"a":1}', "price": "1.50", "quantity": "2"}]
    assert (sent["status"], sent["websiteId"], sent["timeZone"]) == ("Paid", "7", "UTC")
    assert (sent["orderAttributes"], sent["returnsValue"]) == ([{"name": "Weight", "value": "1.5"}], "1.500")


PERSONAL = 'O\'Brien, "Anna" (48600700800) a@b.c'


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("CAST(v AS INTEGER)", "Conversion Error: Could not convert string … to INT32"),
        ("CAST(v AS UUID)", "Conversion Error: Could not convert string … to UUID"),
        ("CAST(v AS DECIMAL(4,1))", "Conversion Error: Could not convert string … to DECIMAL(4,1)"),
        ("CAST(n AS INTEGER)", "Conversion Error: Type INT64 with value … type INT32"),
        ("CAST(n AS DECIMAL(4,1))", "Conversion Error: Could not cast value … to DECIMAL(4,1)"),
        ("n * 9000000000", "Out of Range Error: Overflow in multiplication of INT64 …"),
        ("strptime(v, '%Y')", None),
        ("CAST(v AS TIMESTAMP)", None),
        ("CAST(v AS INTERVAL)", None),
        ("CAST(v AS INTEGER[])", None),
        ("CAST(v AS ENUM('a', 'b'))", None),
        ("CAST(v || chr(10) || chr(10) || v AS INTEGER)", None),
        ("json_extract(v, '$.a')", None),
        ("regexp_extract('a', v || '(')", None),
        ("strftime(now(), v || '%')", None),
        ("timezone(v, now())", None),
        ("error(v)", None),
    ],
)
def test_an_error_on_the_data_shows_no_value(expression, message):
    with locked_engine(memory_limit="64MB", threads=1) as engine:
        engine.register("t", pa.table({"v": [PERSONAL], "n": [48600700800]}))
        with pytest.raises(SqlError) as failed, running("reading orders of the extract"):
            engine.sql(f"SELECT {expression} FROM t").fetchall()

    # as a log would have it, with all that led to it
    shown = "".join(traceback.format_exception(failed.value))
    for part in ("Brien", "Anna", "4860", "a@b"):
        assert part not in shown
    assert str(failed.value).startswith("reading orders of the extract failed on the data: ")
    if message:
        assert message in str(failed.value)


def test_the_exception_of_a_signal_ends_a_query_as_a_cancellation():
    """The engine raises an error of its own in place of a task's time limit."""

    class TimeLimit(BaseException):
        pass

    def limit(*_):
        raise TimeLimit

    # a time of the CPU, which does not pass before the query while this thread stands still
    before = signal.signal(signal.SIGPROF, limit)
    try:
        with locked_engine(memory_limit="64MB", threads=1) as engine:
            signal.setitimer(signal.ITIMER_PROF, 0.05)
            with pytest.raises(CancelledError, match="reading orders was interrupted"), running("reading orders"):
                engine.sql("SELECT count(*) FROM range(1000000000000) t(a) WHERE a % 7 = 3").fetchall()
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


@pytest.mark.parametrize("before", [0, 100_000], ids=["first rows", "later rows"])
def test_an_error_on_the_data_names_the_extract_wherever_it_is(open_orders, with_columns, before):
    """After the first rows the engine's errors come another way."""
    ids = pa.array([str(i) for i in range(before)] + [PERSONAL])
    sql = "SELECT * REPLACE (CAST(id AS INTEGER) AS id) FROM extract"
    with open_orders(with_columns(id=ids), sql=sql) as orders, pytest.raises(SqlError) as failed:
        for _ in orders.read():
            pass

    assert str(failed.value).startswith(
        "reading orders of the extract with the SQL text failed on the data: "
        "Conversion Error: Could not convert string … to INT32"
    )
    assert "Brien" not in "".join(traceback.format_exception(failed.value))


def test_an_error_without_a_value_is_shown_in_full(open_orders, with_columns):
    sql = "SELECT * REPLACE ((SELECT id FROM extract) AS id) FROM extract"
    orders = open_orders(with_columns(id=pa.array(["1", "2"])), sql=sql)
    with orders, pytest.raises(SqlError, match="More than one row returned by a subquery used as an expression"):
        list(orders.read())
