"""Which files a path means: their order, markers, names with special characters, tables of other formats."""

from __future__ import annotations

import random

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from airflow_provider_ecdp.errors import ExtractError, MissingSourceError
from airflow_provider_ecdp.orders.sources.discovery import natural_key
from airflow_provider_ecdp.orders.sources.parquet import ParquetSource


@pytest.fixture
def write(tmp_path):
    """Write a row that holds the name of its file."""

    def make(*names):
        for name in names:
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            pq.write_table(pa.table({"a": [name]}), path)
        return tmp_path

    return make


def read(*paths, **options):
    source = ParquetSource.open(*paths, **options)
    return [row["a"] for batch in source.batches(["a"]) for row in batch.to_pylist()]


# order


NATURAL = ["part.2.parquet", "part.9.parquet", "part.10.parquet", "part.10a.parquet", "q/1.parquet", "q/002.parquet"]


def test_numbers_in_names_count_as_numbers(write):
    folder = write(*NATURAL)
    assert read(folder) == NATURAL
    assert read(f"{folder}/part.*") == NATURAL[:4]


def test_the_order_of_names_depends_on_nothing_but_the_names():
    names = [*NATURAL, "part.02.parquet", "٣.parquet", "", "10", "1/2", "-1"]
    found = {tuple(sorted(random.Random(seed).sample(names, len(names)), key=natural_key)) for seed in range(20)}
    assert len(found) == 1


# markers


def test_a_glob_passes_by_what_writers_leave_beside_data(write):
    folder = write("day/1.parquet", "day/2")
    for marker in ("day/_SUCCESS", "day_$folder$", "day/x_$folder$", "day/empty"):
        (folder / marker).touch()
    for glob in ("day/*", "da*", "*", "**"):
        assert sorted(set(read(f"{folder}/{glob}"))) in (["day/1.parquet"], ["day/1.parquet", "day/2"])
    assert read(f"{folder}/day/*") == ["day/1.parquet", "day/2"]


@pytest.mark.parametrize("how", ["", "/*", "/*.parquet"])
def test_the_marker_of_a_folder_is_one_also_with_the_suffix_of_data(write, how):
    folder = write("1.parquet")
    (folder / "sub_$folder$.parquet").touch()
    assert read(f"{folder}{how}") == ["1.parquet"]


def test_a_glob_of_markers_alone_matches_nothing(tmp_path):
    (tmp_path / "x_$folder$").touch()
    with pytest.raises(MissingSourceError, match="no file matches"):
        ParquetSource.open(f"{tmp_path}/x*")


@pytest.mark.parametrize("how", ["", "/*", "/2.parquet"])
def test_a_parquet_file_without_bytes_is_an_export_that_failed(write, how):
    folder = write("1.parquet")
    (folder / "2.parquet").touch()
    with pytest.raises(ExtractError, match=r"2\.parquet: cannot be read as Parquet: the file has 0 bytes"):
        ParquetSource.open(f"{folder}{how}")


# special characters


@pytest.mark.parametrize("folder", ["br[1]", "a?b", "a*b", "[", "x[!a]y"])
def test_a_folder_may_be_called_as_a_pattern_is_written(write, folder):
    root = write(f"{folder}/1.parquet", f"{folder}/2.parquet", "br1/other.parquet", "axb/other.parquet")
    for path in (folder, f"{folder}/*.parquet", f"{folder}/[12].parquet", f"{folder}/1.parquet"):
        assert f"{folder}/1.parquet" in read(f"{root}/{path}")
        assert not any(name.endswith("other.parquet") for name in read(f"{root}/{path}"))


def test_two_colons_are_a_part_of_a_name(write):
    root = write("a::b/c::d.parquet")
    for path in (f"{root}/a::b/c::d.parquet", f"{root}/a::b", f"{root}/a::b/*", f"file://{root}/a::b/c::d.parquet"):
        assert read(path) == ["a::b/c::d.parquet"]


def test_two_colons_are_a_part_of_a_key(write):
    filesystem = fsspec.filesystem("memory")
    filesystem.pipe("/colons/a::b.parquet", (write("x.parquet") / "x.parquet").read_bytes())
    try:
        assert read("/colons/a::b.parquet", filesystem=filesystem) == ["x.parquet"]
    finally:
        filesystem.rm("/colons", recursive=True)


def test_urls_that_are_joined_by_two_colons_are_followed(write):
    root = write("x.parquet")
    assert read(f"simplecache::file://{root}/x.parquet") == ["x.parquet"]


# what is missing


def test_what_is_missing_is_distinguished_from_what_is_wrong(write):
    root = write("dt=2026-11-22/1.parquet")
    (root / "empty").mkdir()
    for path in ("absent", "absent.parquet", "*.csv", "empty"):
        with pytest.raises(MissingSourceError):
            ParquetSource.open(root / path)
    with pytest.raises(MissingSourceError):
        ParquetSource.open(root, partitions={"dt": "2026-11-23"})


# tables of other formats


@pytest.mark.parametrize("how", ["", "/", "/*.parquet", "/dt=1", "/dt=*/*.parquet", "/*"])
def test_the_folder_of_a_delta_table_is_refused_with_the_remedy(write, how):
    root = write("table/dt=1/kept.parquet", "table/dt=1/removed.parquet", "table/x.parquet")
    (root / "table/_delta_log").mkdir()
    (root / "table/_delta_log/00000000000000000000.json").write_text("{}")
    with pytest.raises(ExtractError, match=r"table is a table in the Delta format.*deltalake"):
        ParquetSource.open(f"{root}/table{how}")


def test_a_partition_of_a_delta_table_is_refused(write):
    root = write("table/dt=1/kept.parquet")
    (root / "table/_delta_log").mkdir()
    with pytest.raises(ExtractError, match="Delta"):
        ParquetSource.open(root / "table", partitions={"dt": 1})


@pytest.mark.parametrize("how", ["", "/data", "/data/dt=1", "/data/*"])
def test_the_folder_of_an_iceberg_table_is_refused_with_the_remedy(write, how):
    root = write("table/data/dt=1/kept.parquet")
    (root / "table/metadata").mkdir()
    (root / "table/metadata/v1.metadata.json").write_text("{}")
    with pytest.raises(ExtractError, match=r"table is a table in the Iceberg format.*pyiceberg"):
        ParquetSource.open(f"{root}/table{how}")


@pytest.mark.parametrize("how", ["", "/2026", "/2026/*", "/dt=1", "/*/*.parquet"])
def test_the_folder_of_a_hudi_table_is_refused_with_the_remedy(write, how):
    root = write("table/dt=1/kept.parquet", "table/2026/11/kept.parquet")
    (root / "table/.hoodie").mkdir()
    (root / "table/2026/11/.hoodie_partition_metadata").touch()
    with pytest.raises(ExtractError, match=r"is a table in the Hudi format.*package hudi"):
        ParquetSource.open(f"{root}/table{how}")


@pytest.mark.parametrize("marker", ["_delta_log", ".hoodie"])
def test_a_file_of_a_table_that_is_named_alone_is_read(write, marker):
    root = write("table/1.parquet")
    (root / "table" / marker).mkdir()
    assert read(f"{root}/table/1.parquet") == ["table/1.parquet"]


def test_a_folder_called_metadata_alone_is_not_a_table(write):
    assert read(write("metadata/1.parquet", "data/2.parquet")) == ["data/2.parquet", "metadata/1.parquet"]


@pytest.mark.parametrize("name", ["x\udcff.parquet", "dt=\udcff/x.parquet"])
def test_a_name_that_is_not_utf_8_is_refused(write, name):
    folder = write("a.parquet")
    broken = folder / name
    broken.parent.mkdir(exist_ok=True)
    try:
        (folder / "a.parquet").rename(broken)
    except OSError:
        pytest.skip("the file system takes UTF-8 alone")
    for path in (str(folder), str(broken)):
        with pytest.raises(ExtractError, match=r"is not text in UTF-8; rename the file or folder"):
            read(path)
