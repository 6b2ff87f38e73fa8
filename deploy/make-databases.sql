-- Dagster keeps its tables in a database of its own, beside the schemas of Zentra's stores.
CREATE DATABASE dagster;
