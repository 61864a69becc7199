"""The outcome of each order in Parquet files, and the state that earlier runs carry over to the next."""
