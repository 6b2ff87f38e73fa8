"""What ingest accepted, as assets that Dagster shows and does not make; and the sensor that reads drop folders."""
