"""Files, folders, globs and URLs: what is found, what is read, and what is said of what cannot be read."""

from __future__ import annotations

import datetime as dt
import os
from decimal import Decimal
from pathlib import Path

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from airflow_provider_ecdp.errors import ColumnsError, ExtractError, SourceChangedError
from airflow_provider_ecdp.orders.sources.base import BATCH_ROWS
from airflow_provider_ecdp.orders.sources.parquet import ParquetSource
from airflow_provider_ecdp.orders.sources.table import TableSource

D = Decimal


@pytest.fixture
def write(tmp_path):
    """Write a table, or one row with a column `a`, as a Parquet file in the test's folder."""

    def make(name, table=None, **options):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.table({"a": [name]}) if table is None else table, path, **options)
        return path

    return make


@pytest.fixture
def memory():
    """fsspec's file system in memory, empty; every user of it in a process sees the same."""
    filesystem = fsspec.filesystem("memory")
    filesystem.rm("/", recursive=True) if filesystem.ls("/") else None
    yield filesystem
    filesystem.rm("/", recursive=True) if filesystem.ls("/") else None


def names(extract, folder):
    return [Path(file.path).relative_to(folder).as_posix() for file in extract.files]


def paths(extract):
    return tuple(file.path for file in extract.files)


def rows(extract, *columns):
    return pa.Table.from_batches(list(extract.batches(columns)), extract.schema.empty_table().select(columns).schema)


# what is found


def test_a_file_is_found_by_path_text_and_url(write):
    path = write("orders.parquet")
    for given in (path, str(path), f"file://{path}", f"local://{path}"):
        extract = ParquetSource.open(given)
        assert paths(extract) == (str(path),)
        assert (extract.name, extract.rows) == (str(given), 1)


def test_a_file_may_have_any_name(write):
    for name in ("orders", "orders.csv", "with space #%20é?.parquet", "br[1].parquet", "*.parquet", "_hidden.parquet"):
        path = write(f"{len(name)}/{name}")
        assert paths(ParquetSource.open(path)) == (str(path),)


def test_a_relative_path_is_found_from_the_working_directory(write, tmp_path, monkeypatch):
    path = write("in/orders.parquet")
    monkeypatch.chdir(tmp_path)
    for given in ("in/orders.parquet", "./in", "in/*.parquet", Path("in")):
        assert paths(ParquetSource.open(given)) == (str(path),)


def test_a_link_is_followed(write, tmp_path):
    path = write("orders.parquet")
    link = tmp_path / "link.parquet"
    link.symlink_to(path)
    assert ParquetSource.open(link).rows == 1


def test_a_folder_gives_its_parquet_files_at_any_depth_in_the_order_of_their_names(write, tmp_path):
    for name in ("b.parquet", "a.PARQUET", "day=2/x.parq", "day=1/y.pq", "day=1/deep/er/z.parquet"):
        write(name)
    for other in ("_SUCCESS", "x.parquet.crc", "readme.txt"):
        (tmp_path / other).touch()
    expected = ["a.PARQUET", "b.parquet", "day=1/deep/er/z.parquet", "day=1/y.pq", "day=2/x.parq"]

    assert names(ParquetSource.open(tmp_path), tmp_path) == expected
    assert names(ParquetSource.open(f"{tmp_path}/"), tmp_path) == expected


def test_what_writers_hide_is_no_data(write, tmp_path):
    for hidden in (
        "_temporary/0/part.parquet",
        ".hidden.parquet",
        "_part.parquet",
        "day=1/.x.parquet.part",
        ".x/y.parquet",
    ):
        write(hidden)
    write("day=1/x.parquet")

    assert names(ParquetSource.open(tmp_path), tmp_path) == ["day=1/x.parquet"]
    for glob in ("*", "**", "*/*.parquet", "**/*.parquet"):
        assert names(ParquetSource.open(f"{tmp_path}/{glob}"), tmp_path) == ["day=1/x.parquet"]
    with pytest.raises(ExtractError, match="no file matches"):
        ParquetSource.open(f"{tmp_path}/*/*/*.parquet")


def test_a_folder_below_one_that_is_hidden_is_read_where_it_is_named(write, tmp_path):
    write(".cache/_run/orders.parquet")
    assert ParquetSource.open(tmp_path / ".cache" / "_run").rows == 1
    assert ParquetSource.open(f"{tmp_path}/.cache/_run/*.parquet").rows == 1


def test_a_glob_that_spells_out_what_is_hidden_means_it(write, tmp_path):
    write("_part.parquet")
    assert ParquetSource.open(f"{tmp_path}/_*.parquet").rows == 1


def test_a_glob_gives_the_files_that_it_matches(write, tmp_path):
    for name in ("2026-11-01.parquet", "2026-11-02.parquet", "2026-12-01.parquet", "2026-11-03.csv"):
        write(name)

    assert names(ParquetSource.open(f"{tmp_path}/2026-11-0[12].parquet"), tmp_path) == [
        "2026-11-01.parquet",
        "2026-11-02.parquet",
    ]
    assert len(ParquetSource.open(f"{tmp_path}/2026-1?-01.*").files) == 2


def test_a_glob_that_matches_folders_gives_what_is_in_them(write, tmp_path):
    for name in ("day=1/a.parquet", "day=1/notes.txt", "day=2/b/c.parquet", "night/d.parquet", "day=1/_tmp.parquet"):
        write(name)
    assert names(ParquetSource.open(f"{tmp_path}/day=*"), tmp_path) == ["day=1/a.parquet", "day=2/b/c.parquet"]
    # both match `**`; each file counts once
    assert names(ParquetSource.open(f"{tmp_path}/day=2/**"), tmp_path) == ["day=2/b/c.parquet"]


def test_several_paths_are_read_one_after_the_other(write, tmp_path):
    first, second = write("z.parquet"), write("in/a.parquet")
    extract = ParquetSource.open(first, tmp_path / "in")

    assert paths(extract) == (str(first), str(second))
    assert extract.name == f"{first}, {tmp_path / 'in'}"
    assert rows(extract, "a")["a"].to_pylist() == ["z.parquet", "in/a.parquet"]


def test_a_file_that_is_named_twice_is_read_twice(write):
    path = write("orders.parquet")
    assert ParquetSource.open(path, path).rows == 2


def test_urls_of_fsspec_are_opened(memory, write):
    data = write("orders.parquet").read_bytes()
    memory.pipe("/shop/day=1/orders.parquet", data)
    memory.pipe("/shop/_SUCCESS", b"")

    for given in (
        "memory://shop",
        "memory://shop/day=1/orders.parquet",
        "memory:///shop/day=1",
        "memory://shop/*/*.parquet",
        "memory://shop/day=*",
    ):
        extract = ParquetSource.open(given)
        assert paths(extract) == ("/shop/day=1/orders.parquet",)
        assert rows(extract, "a")["a"].to_pylist() == ["orders.parquet"]
    # as Airflow's object storage gives it: a file system and a path in it
    assert ParquetSource.open("/shop", filesystem=memory).rows == 1


# what is not there, or is no Parquet


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("nothing", "{}/nothing: no such file or folder"),
        ("nothing.parquet", "{}/nothing.parquet: no such file or folder"),
        ("empty", "{}/empty: no Parquet file in this folder (it is empty; looked for .parquet, .parq, .pq)"),
        ("other", "{}/other: no Parquet file in this folder (it holds 2 other files; looked for .parquet, .parq, .pq)"),
        ("*.orders", "{}/*.orders: no file matches"),
        ("nothing/*.parquet", "{}/nothing/*.parquet: no file matches"),
    ],
)
def test_the_message_names_what_is_missing(tmp_path, given, message):
    (tmp_path / "empty").mkdir()
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "orders.csv").touch()
    (tmp_path / "other" / "_hidden.parquet").touch()
    with pytest.raises(ExtractError) as refused:
        ParquetSource.open(tmp_path / given)
    assert str(refused.value) == message.format(tmp_path)


def test_the_message_names_a_file_that_is_not_parquet(write, tmp_path):
    whole = write("whole.parquet").read_bytes()
    for name, data in {
        "empty.parquet": b"",
        "csv.parquet": b"id,date\n1,2026-11-01\n",
        "cut.parquet": whole[:-20],
        "no_head.parquet": whole[len(whole) // 2 :],
        "magic.parquet": b"PAR1PAR1",
    }.items():
        (tmp_path / name).write_bytes(data)
        with pytest.raises(ExtractError, match=f"{name}: cannot be read"):
            ParquetSource.open(tmp_path / name)


def test_a_bad_file_among_good_ones_is_named(write, tmp_path):
    write("a.parquet")
    (tmp_path / "b.parquet").write_text("no Parquet")
    with pytest.raises(ExtractError, match=r"b\.parquet: cannot be read as Parquet"):
        ParquetSource.open(tmp_path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_the_message_names_a_file_without_permission(write):
    path = write("orders.parquet")
    path.chmod(0)
    with pytest.raises(ExtractError, match="cannot be read"):
        ParquetSource.open(path)


def test_a_path_of_no_characters_is_not_the_working_directory(write, tmp_path, monkeypatch):
    write("orders.parquet")
    monkeypatch.chdir(tmp_path)
    for given in ("", "  "):
        with pytest.raises(ExtractError, match="the path of the extract is empty"):
            ParquetSource.open(given)
    with pytest.raises(ExtractError, match="no path of an extract was given"):
        ParquetSource.open()


@pytest.mark.parametrize("url", ["nosuch://bucket/orders", "gs://bucket/orders.parquet"])
def test_the_message_names_a_protocol_that_is_not_installed(url):
    with pytest.raises(ExtractError, match=f"{url}: "):
        ParquetSource.open(url)


# what is read


def test_only_the_columns_that_are_requested_are_read_in_their_order(write):
    extract = ParquetSource.open(write("o.parquet", pa.table({"a": [1], "b": [2], "c": [3]})))
    (batch,) = extract.batches(["c", "a"])
    assert batch.schema.names == ["c", "a"]


def test_columns_with_dots_and_spaces_are_read_by_their_names(write):
    columns = {"a": [1], "a.b": [2], "customer": [{"email": "x"}], "customer.email": ["y"], "with space": [3], "ż": [4]}
    extract = ParquetSource.open(write("o.parquet", pa.table(columns)))
    for name, values in columns.items():
        assert rows(extract, name)[name].to_pylist() == values


def test_many_row_groups_come_in_batches_of_bounded_rows(write):
    count = 3 * BATCH_ROWS + 7
    extract = ParquetSource.open(write("o.parquet", pa.table({"a": range(count)}), row_group_size=BATCH_ROWS + 100))

    batches = list(extract.batches(["a"]))
    assert max(len(batch) for batch in batches) <= BATCH_ROWS
    assert [v for batch in batches for v in batch["a"].to_pylist()] == list(range(count))
    assert extract.rows == count


def test_an_extract_can_be_read_more_than_once_at_a_time(write):
    extract = ParquetSource.open(write("o.parquet", pa.table({"a": range(10)}), row_group_size=5))
    first, second = extract.batches(["a"]), extract.batches(["a"])
    assert next(first).equals(next(second))
    assert len(list(first)) == len(list(second)) == 1


def test_files_without_rows_are_read(write, tmp_path):
    empty = write("empty.parquet", pa.table({"a": pa.array([], pa.string())}))
    assert (ParquetSource.open(empty).rows, list(ParquetSource.open(empty).batches(["a"]))) == (0, [])

    write("full.parquet")
    assert rows(ParquetSource.open(tmp_path), "a")["a"].to_pylist() == ["full.parquet"]


def test_a_table_in_memory_comes_in_slices_of_its_chunks():
    table = pa.concat_tables([pa.table({"a": range(BATCH_ROWS + 1)}), pa.table({"a": [7]})])
    extract = TableSource("x", table)
    assert [len(batch) for batch in extract.batches(["a"])] == [BATCH_ROWS, 1, 1]
    assert (extract.rows, extract.schema) == (BATCH_ROWS + 2, table.schema)


def test_the_marks_that_pandas_leaves_are_no_columns(write):
    table = pa.table({"a": [1], "__index_level_0__": [0]}).replace_schema_metadata({"pandas": '{"index_columns": []}'})
    extract = ParquetSource.open(write("o.parquet", table))
    assert extract.schema.metadata is None
    assert rows(extract, "a")["a"].to_pylist() == [1]


# files of different schemas


@pytest.fixture
def together(write, tmp_path):
    """Open files of one column each as one extract, and return the column."""

    def read(*arrays):
        for i, array in enumerate(arrays):
            write(f"both/{i}.parquet", pa.table({"a": array}))
        extract = ParquetSource.open(tmp_path / "both")
        return rows(extract, "a")["a"]

    return read


LIST = pa.list_(pa.struct([("name", pa.string()), ("value", pa.string())]))
UTC = pa.timestamp("us", tz="UTC")
MOMENT = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)

COMMON = {
    "int32 and int64": ([pa.array([1], pa.int32()), pa.array([2**40])], pa.int64(), [1, 2**40]),
    "scales of decimals": (
        [pa.array([D("1.50")]), pa.array([D("123456789.125")])],
        pa.decimal128(12, 3),
        [D("1.500"), D("123456789.125")],
    ),
    "a column of nulls": ([pa.nulls(1), pa.array(["x"])], pa.string(), [None, "x"]),
    "string and large_string": (
        [pa.array(["x"]), pa.array(["y"], pa.large_string())],
        pa.large_string(),
        ["x", "y"],
    ),
    "units of time": (
        [pa.array([MOMENT], UTC), pa.array([MOMENT], pa.timestamp("ms", tz="UTC"))],
        UTC,
        [MOMENT, MOMENT],
    ),
    "members of structs": (
        [pa.array([{"x": 1}]), pa.array([{"y": "z"}])],
        pa.struct([("x", pa.int64()), ("y", pa.string())]),
        [{"x": 1, "y": None}, {"x": None, "y": "z"}],
    ),
    "members of lists of structs": (
        [pa.array([[{"name": "n"}]]), pa.array([[{"value": "v", "name": "m"}]])],
        LIST,
        [[{"name": "n", "value": None}], [{"name": "m", "value": "v"}]],
    ),
    "lists that were always empty": (
        [pa.array([[]], pa.list_(pa.null())), pa.array([[{"name": "n", "value": "v"}]], LIST)],
        LIST,
        [[], [{"name": "n", "value": "v"}]],
    ),
    "dictionaries": (
        [pa.array(["x"]).dictionary_encode(), pa.array(["y"]).dictionary_encode()],
        pa.dictionary(pa.int32(), pa.string()),
        ["x", "y"],
    ),
}


@pytest.mark.parametrize("case", COMMON)
def test_files_go_together_by(together, case):
    arrays, type_, values = COMMON[case]
    column = together(*arrays)
    assert column.type == type_
    assert column.to_pylist() == values


APART = {
    "numbers and text": [pa.array([1]), pa.array(["x"])],
    "times with and without a zone": [pa.array([MOMENT], UTC), pa.array([MOMENT], pa.timestamp("us"))],
    "structs and text": [pa.array([{"x": 1}]), pa.array(["x"])],
    "large whole numbers and doubles": [pa.array([2**53 + 1]), pa.array([1.5])],
    "decimals and doubles": [pa.array([D("123456789012345678.91")]), pa.array([1.5])],
    "decimals of more digits than there are": [
        pa.array([D(1)], pa.decimal128(38, 0)),
        pa.array([D("1.5")], pa.decimal128(38, 1)),
    ],
    "truth and numbers": [pa.array([True]), pa.array([1])],
    "members of structs": [pa.array([{"x": 1}]), pa.array([{"x": "1"}])],
    "members of lists": [pa.array([[{"x": 1}]]), pa.array([[{"x": 1.5}]])],
}


@pytest.mark.parametrize("case", APART)
def test_a_column_whose_types_do_not_go_together_is_refused_before_a_row_of_it_is_read(write, tmp_path, case):
    for i, array in enumerate(APART[case]):
        write(f"both/{i}.parquet", pa.table({"a": array, "b": ["x"]}))
    extract = ParquetSource.open(tmp_path / "both")
    with pytest.raises(
        ExtractError,
        match=r"the files differ in the type of the column a(\[\])?(\.x)?: .* and .* have no common type without loss",
    ):
        rows(extract, "b", "a")
    assert rows(extract, "b")["b"].to_pylist() == ["x", "x"]


def test_a_column_that_a_file_lacks_is_null_in_its_rows(write, tmp_path):
    nested = pa.array([[{"name": "n", "value": "v"}]], LIST)
    write("1.parquet", pa.table({"id": ["1"], "only": ["x"], "nested": nested}))
    write("2.parquet", pa.table({"id": ["2"]}))
    write("3.parquet", pa.table({"only": ["y"]}))
    extract = ParquetSource.open(tmp_path)

    assert rows(extract, "only")["only"].to_pylist() == ["x", None, "y"]
    assert rows(extract, "nested")["nested"].to_pylist() == [[{"name": "n", "value": "v"}], None, None]
    assert rows(extract, "id", "only").to_pylist() == [
        {"id": "1", "only": "x"},
        {"id": "2", "only": None},
        {"id": None, "only": "y"},
    ]


def test_orders_of_a_file_without_ids_are_invalid_and_the_others_are_read(read, with_columns, write, tmp_path):
    table = with_columns(id=pa.array(["1", "2"]))
    write("1.parquet", table.drop_columns("id"))
    write("2.parquet", table.append_column("currency", pa.array(["EUR", "USD"])))
    found = read(ParquetSource.open(tmp_path))

    assert [row.order_id for row in found] == [None, None, "1", "2"]
    assert [row.faults for row in found[:2]] == [{"id": "required"}] * 2
    assert [row.sent["currency"] for row in found[2:]] == ["EUR", "USD"]


def test_files_whose_columns_differ_in_case_are_refused_with_both_names(read, with_columns, write, tmp_path):
    table = with_columns(id=pa.array(["1"]))
    write("1.parquet", table)
    write("2.parquet", table.rename_columns([name.upper() for name in table.schema.names]))
    with pytest.raises(ColumnsError, match="'id' and 'ID' both name this field"):
        read(ParquetSource.open(tmp_path))


def test_a_column_that_a_file_has_twice_is_refused_where_it_is_read(write):
    twice = pa.table({"a": [1]}).append_column("b", pa.array([1])).append_column("a", pa.array([2]))
    extract = ParquetSource.open(write("o.parquet", twice))
    with pytest.raises(ExtractError, match=r"o\.parquet: more than one column is called a; rename them"):
        rows(extract, "a")
    assert rows(extract, "b")["b"].to_pylist() == [1]


@pytest.mark.parametrize("sql", [None, "SELECT * EXCLUDE (spare) FROM extract"])
def test_a_column_that_cannot_be_read_stops_no_run_that_does_without_it(read, with_columns, write, tmp_path, sql):
    table = with_columns(id=pa.array(["1"]))
    spare = pa.array(["x"])
    write("1.parquet", table.append_column("spare", pa.array([1])))
    write("2.parquet", table.append_column("spare", spare).append_column("spare", spare))
    extract = ParquetSource.open(tmp_path)
    assert [row.problems for row in read(extract, sql=sql)] == [[], []]
    with pytest.raises(ExtractError, match="more than one column is called spare"):
        read(extract, mapping={"currency": "spare"})


# broken data in the middle


def test_a_page_that_is_broken_is_said_with_the_file(write):
    path = write("o.parquet", pa.table({"a": [str(i) for i in range(100)]}), compression="none", use_dictionary=False)
    at = pq.read_metadata(path).row_group(0).column(0).data_page_offset
    data = bytearray(path.read_bytes())
    data[at : at + 30] = bytes(30)
    path.write_bytes(data)

    extract = ParquetSource.open(path)
    with pytest.raises(ExtractError, match=r"o\.parquet: cannot be read"):
        list(extract.batches(["a"]))


def test_what_fails_on_another_file_system_is_said_with_the_file(memory, write):
    memory.pipe("/o.parquet", write("o.parquet").read_bytes())
    extract = ParquetSource.open("memory://o.parquet")
    memory.rm("/o.parquet")
    with pytest.raises(SourceChangedError, match=r"/o\.parquet was removed while the run was reading it"):
        list(extract.batches(["a"]))


# files that are replaced


@pytest.mark.parametrize("how", ["rewritten in place", "replaced", "another size", "removed"])
def test_a_file_that_is_replaced_between_two_readings_is_noticed(write, how):
    path = write("o.parquet", pa.table({"a": ["first"]}))
    extract = ParquetSource.open(path)
    assert rows(extract, "a")["a"].to_pylist() == ["first"]
    before = path.stat()
    if how == "removed":
        path.unlink()
    elif how == "rewritten in place":
        path.write_bytes(path.read_bytes())
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns + 1_000))
    elif how == "replaced":
        write("new.parquet", pa.table({"a": ["other"]})).replace(path)
    else:
        write("o.parquet", pa.table({"a": ["first", "second"]}))
    with pytest.raises(SourceChangedError, match=r"o\.parquet was (replaced|removed) while the run") as caught:
        list(extract.batches(["a"]))
    assert caught.value.transient


def test_a_file_that_is_rewritten_while_it_is_read_is_no_broken_file(write):
    path = write("o.parquet", pa.table({"a": range(200_000)}), row_group_size=50_000)
    batches = ParquetSource.open(path).batches(["a"])
    next(batches)
    path.write_bytes(bytes(path.stat().st_size))
    with pytest.raises(SourceChangedError, match=r"o\.parquet was replaced while the run was reading it"):
        list(batches)


def test_an_object_that_is_replaced_between_two_readings_is_noticed(memory, write):
    memory.pipe("/o.parquet", write("o.parquet").read_bytes())
    extract = ParquetSource.open("memory://o.parquet")
    assert rows(extract, "a").num_rows == 1
    assert rows(extract, "a").num_rows == 1
    memory.pipe("/o.parquet", write("o.parquet", pa.table({"a": ["x", "y"]})).read_bytes())
    with pytest.raises(SourceChangedError, match="was replaced"):
        list(extract.batches(["a"]))
