"""Generators of the embedded corpora. They are not installed: the package ships the Parquet files that they write."""
