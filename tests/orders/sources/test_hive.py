"""Folders called `name=value`: columns, and what of them is read."""

from __future__ import annotations

import datetime as dt

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from airflow_provider_ecdp.errors import ConfigurationError, ExtractError
from airflow_provider_ecdp.orders.sources.parquet import ParquetSource


@pytest.fixture
def lake(tmp_path):
    """Files of one row, whose id is their path."""

    def write(*paths, **columns):
        for path in paths:
            file = tmp_path / path / "x.parquet"
            file.parent.mkdir(parents=True, exist_ok=True)
            pq.write_table(pa.table({"id": [path]} | {name: [value] for name, value in columns.items()}), file)
        return tmp_path

    return write


def rows(extract, *columns):
    return pa.Table.from_batches(extract.batches(columns or extract.schema.names)).to_pylist()


def test_the_values_in_the_path_are_columns(lake):
    extract = ParquetSource.open(lake("dt=2026-11-22/shop=PL", "dt=2026-11-23/shop=DE"))
    assert rows(extract) == [
        {"id": "dt=2026-11-22/shop=PL", "dt": dt.date(2026, 11, 22), "shop": "PL"},
        {"id": "dt=2026-11-23/shop=DE", "dt": dt.date(2026, 11, 23), "shop": "DE"},
    ]
    assert rows(extract, "shop", "dt")[0] == {"shop": "PL", "dt": dt.date(2026, 11, 22)}
    assert rows(extract, "shop") == [{"shop": "PL"}, {"shop": "DE"}]


@pytest.mark.parametrize(
    ("values", "type_", "found"),
    [
        (["2026-11-22", "2026-02-28"], pa.date32(), [dt.date(2026, 2, 28), dt.date(2026, 11, 22)]),
        (["2026-11-22", "2026-02-30"], pa.string(), ["2026-02-30", "2026-11-22"]),
        (["2026-11-22", "x"], pa.string(), ["2026-11-22", "x"]),
        (["1", "-20"], pa.int64(), [1, -20]),
        (["1", "007"], pa.string(), ["1", "007"]),
        (["00", "13"], pa.string(), ["00", "13"]),
        (["1", "99999999999999999999"], pa.string(), ["1", "99999999999999999999"]),
        (["1", "__HIVE_DEFAULT_PARTITION__"], pa.int64(), [1, None]),
        (["__HIVE_DEFAULT_PARTITION__"], pa.string(), [None]),
        (["a%20b%2Fc", "ż"], pa.string(), ["a b/c", "ż"]),
        (["", "a=b"], pa.string(), ["", "a=b"]),
    ],
)
def test_a_column_has_the_type_that_all_its_values_have(lake, values, type_, found):
    extract = ParquetSource.open(lake(*(f"p={value}" for value in values)))
    assert extract.schema.field("p").type == type_
    assert [row["p"] for row in rows(extract, "p")] == found


def test_a_column_of_the_files_is_not_overridden(lake):
    extract = ParquetSource.open(lake("dt=2026-11-22", DT="as it is"))
    assert extract.schema.names == ["id", "DT"]


def test_a_column_whose_name_differs_in_case_between_folders_or_files_is_not_read(lake):
    lake("DT=1", Total="1")
    extract = ParquetSource.open(lake("dt=2", total="2"))
    assert [row["id"] for row in rows(extract, "id")] == ["DT=1", "dt=2"]
    for names in (["DT", "dt"], ["Total", "total"]):
        both = f"one column is spelled {names[0]!r} and {names[1]!r} in files and folders"
        for name in names:
            with pytest.raises(ExtractError, match=both):
                rows(extract, name)


def test_a_file_that_has_both_spellings_of_a_name_has_two_columns(lake):
    lake("a", Total="1")
    extract = ParquetSource.open(lake("b", total="2", Total="3"))
    assert rows(extract, "Total", "total") == [{"Total": "1", "total": None}, {"Total": "3", "total": "2"}]


def test_a_file_beside_the_partitions_has_no_value(lake):
    extract = ParquetSource.open(lake("dt=2026-11-22", "old"))
    assert [row["dt"] for row in rows(extract)] == [dt.date(2026, 11, 22), None]


def test_what_only_looks_like_a_partition_is_none(lake):
    assert ParquetSource.open(lake("1=2", "a b=c", "=d")).schema.names == ["id"]


def test_the_folder_of_one_partition_has_its_column_and_so_has_a_glob_and_a_file(lake):
    folder = lake("dt=2026-11-22/shop=PL", "dt=2026-11-22/shop=DE", "dt=2026-11-23/shop=PL")
    assert rows(ParquetSource.open(folder / "dt=2026-11-22"), "dt", "shop") == [
        {"dt": dt.date(2026, 11, 22), "shop": "DE"},
        {"dt": dt.date(2026, 11, 22), "shop": "PL"},
    ]
    assert len(rows(ParquetSource.open(f"{folder}/dt=*/shop=PL/*.parquet"), "dt", "shop")) == 2
    assert rows(ParquetSource.open(folder / "dt=2026-11-23/shop=PL/x.parquet"), "shop") == [{"shop": "PL"}]


@pytest.mark.parametrize(
    ("partitions", "found"),
    [
        ({"dt": "2026-11-22"}, ["dt=2026-11-22/shop=DE", "dt=2026-11-22/shop=PL"]),
        ({"dt": dt.date(2026, 11, 23)}, ["dt=2026-11-23/shop=PL"]),
        ({"shop": "PL"}, ["dt=2026-11-22/shop=PL", "dt=2026-11-23/shop=PL"]),
        ({"shop": ["PL", "DE"], "dt": ["2026-11-22"]}, ["dt=2026-11-22/shop=DE", "dt=2026-11-22/shop=PL"]),
        ({"dt": ["2026-11-22", "2026-11-23"], "shop": "PL"}, ["dt=2026-11-22/shop=PL", "dt=2026-11-23/shop=PL"]),
        ({"dt": "2026-11-22", "shop": "DE"}, ["dt=2026-11-22/shop=DE"]),
    ],
)
def test_only_the_partitions_that_are_requested_are_read(lake, partitions, found):
    folder = lake("dt=2026-11-22/shop=PL", "dt=2026-11-22/shop=DE", "dt=2026-11-23/shop=PL")
    # a file that nobody may look at
    (folder / "dt=2026-11-24/shop=FR").mkdir(parents=True)
    (folder / "dt=2026-11-24/shop=FR/x.parquet").write_text("no Parquet")
    extract = ParquetSource.open(folder, partitions=partitions)
    assert [row["id"] for row in rows(extract)] == found
    assert extract.schema.names == ["id", "dt", "shop"]


def test_a_partition_is_found_without_listing_the_others(lake):
    folder = lake("dt=2026-11-22/shop=a b", "dt=2026-11-23/shop=a b")

    listed = []

    class Watched(type(fsspec.filesystem("file"))):
        def find(self, path, *args, **kwargs):
            listed.append(path)
            return super().find(path, *args, **kwargs)

    filesystem = Watched(skip_instance_cache=True)
    extract = ParquetSource.open(folder, filesystem=filesystem, partitions={"shop": "a b", "dt": "2026-11-23"})
    assert extract.rows == 1
    assert listed == [f"{folder}/dt=2026-11-23/shop=a b"]


@pytest.mark.parametrize(
    ("partitions", "message"),
    [
        ({"day": "2026-11-22"}, "no folder is called day=...; partitions are by dt, shop"),
        (
            {"dt": "2026-11-24"},
            "there is no partition dt=2026-11-24; there are 2, the last of them 2026-11-22, 2026-11-23",
        ),
        ({"dt": ["2026-11-24", "2026-11-25"]}, "there is no partition dt=2026-11-24 or 2026-11-25; there are 2"),
        (
            {"dt": ["2026-11-22", "2026-11-24", "2026-11-23", "x"]},
            "there is no partition dt=2026-11-24 or x; there are 2, the last of them 2026-11-22, 2026-11-23",
        ),
        (
            {"dt": ["2026-11-22", "2026-11-23"], "shop": "DE"},
            "there is no partition dt=2026-11-23 with shop=DE; there are 1, the last of them 2026-11-22",
        ),
        (
            {"dt": "2026-11-23", "shop": ["PL", "DE"]},
            "there is no partition shop=DE with dt=2026-11-23; there are 1, the last of them PL",
        ),
        (
            {"dt": ["2026-11-24", "x"], "shop": ["FR", "x"]},
            "there is no partition dt=2026-11-24 or x; there are 2, the last of them 2026-11-22, 2026-11-23",
        ),
    ],
)
def test_a_partition_that_is_not_there_is_reported_with_those_that_are(lake, partitions, message):
    folder = lake("dt=2026-11-22/shop=PL", "dt=2026-11-22/shop=DE", "dt=2026-11-23/shop=PL")
    with pytest.raises(ExtractError) as refused:
        ParquetSource.open(folder, partitions=partitions)
    assert str(refused.value).startswith(f"{folder}: {message}")


def test_the_partition_without_a_value_is_requested_by_hives_name(lake):
    null = "__HIVE_DEFAULT_PARTITION__"
    folder = lake(f"day={null}", "day=2026-11-22", "day=None/shop=PL")

    def asked(*days, path=folder):
        extract = ParquetSource.open(path, partitions={"day": list(days)})
        return [row["id"] for row in rows(extract, "id")]

    assert asked(null) == asked(null, path=f"{folder}/*") == [f"day={null}"]
    assert asked("2026-11-22", null) == ["day=2026-11-22", f"day={null}"]
    assert asked("None") == ["day=None/shop=PL"]
    with pytest.raises(ExtractError, match=f"day=2026-11-23; there are 3, the last of them 2026-11-22, None, {null}$"):
        asked("2026-11-23")


def test_a_file_beside_the_partitions_is_not_in_the_one_without_a_value(lake):
    extract = ParquetSource.open(
        lake("dt=__HIVE_DEFAULT_PARTITION__", "old"), partitions={"dt": "__HIVE_DEFAULT_PARTITION__"}
    )
    assert extract.rows == 1


def test_values_that_are_nowhere_together_are_reported_together(lake):
    folder = lake("a=1/b=2/c=2", "a=2/b=1/c=2", "a=2/b=2/c=1")
    with pytest.raises(ExtractError, match=r"there is no partition a=1, b=1, c=1$"):
        ParquetSource.open(f"{folder}/*/*/*", partitions={"a": "1", "b": "1", "c": "1"})


def test_paths_without_partitions_are_reported(lake):
    folder = lake("a")
    with pytest.raises(ExtractError, match=r"no folder is called dt=\.\.\.; its paths have no partitions"):
        ParquetSource.open(folder, partitions={"dt": "2026-11-22"})


@pytest.mark.parametrize("value", [None, "", [], {"a": "b"}])
def test_an_invalid_value_is_refused(lake, value):
    with pytest.raises(ConfigurationError, match="partitions: must be a value or a list of values, not "):
        ParquetSource.open(lake("dt=1"), partitions={"dt": value})


def test_an_object_store_s_partitions_are_columns_too():
    with fsspec.filesystem("memory").open("memory://lake/dt=2026-11-22/x.parquet", "wb") as file:
        pq.write_table(pa.table({"id": ["a"]}), file)
    extract = ParquetSource.open("memory://lake", partitions={"dt": "2026-11-22"})
    assert rows(extract) == [{"id": "a", "dt": dt.date(2026, 11, 22)}]
