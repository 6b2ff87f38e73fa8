"""One window on each engine: its cost, and whether bytes are the same: `python -m benchmarks.engines --sizes 100000`.

Sail is within the process, so that its processor time is counted with the client's; `--remote sc://host:port` has the
server's own work uncounted. Nothing is asserted but the bytes.
"""

import argparse
import hashlib
import os
import shutil
import tempfile
from pathlib import Path

from benchmarks.bench import ingest, made, new_home, run, say
from zentra_pipeline import settings


def published(home: Path) -> dict[str, str]:
    """The digest of every published file, by its path in the lake; those of events hold the time of the run."""
    lake = home / "tenants" / "acme" / "lake"
    paths = (path for path in lake.rglob("*.parquet") if "event_rows" not in path.parts)
    return {str(path.relative_to(lake)): hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(paths)}


def bench_engines(folder: Path, movements: int, remote: str | None) -> None:
    """One window of so many movements on DuckDB, and on Sail or the server at `remote`."""
    inputs = folder / f"inputs_{movements}"
    inputs.mkdir()
    home = folder / f"home_{movements}"
    new_home(home)
    for kind, path in made(inputs, movements).kinds.items():
        ingest(str(home), kind, path)
    other = folder / f"other_{movements}"
    shutil.copytree(home, other)
    on_duckdb = run(str(home))
    os.environ[settings.ENGINE_VARIABLE] = "spark"
    if remote is not None:
        os.environ[settings.SPARK_VARIABLE] = remote
    on_spark = run(str(other))
    del os.environ[settings.ENGINE_VARIABLE]
    for label, measure in (("DuckDB", on_duckdb), (remote or "Sail", on_spark)):
        say(f"{movements:,} on {label}", f"{measure.seconds:.1f}", f"{measure.processor:.1f}", "", "", measure.peak_mb)
    apart = [name for name, digest in published(home).items() if published(other).get(name) != digest]
    if apart:
        raise RuntimeError(f"published bytes differ: {', '.join(apart)}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", default="100000", help="movements of each window, separated by commas")
    parser.add_argument("--remote", help="a Spark Connect server on this machine, sc://host:port")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="zentra-engines-") as name:
        say("", "seconds", "cpu", "", "", "peak MB")
        for size in options.sizes.split(","):
            bench_engines(Path(name), int(size), options.remote)


if __name__ == "__main__":
    main()
