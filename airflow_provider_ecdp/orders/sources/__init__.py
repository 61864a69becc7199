"""Where rows come from: Parquet files, partitions, shards, records."""
