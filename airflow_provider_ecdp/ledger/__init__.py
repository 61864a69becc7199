"""What became of each order, kept as Parquet files, and what earlier runs tell the next one."""
