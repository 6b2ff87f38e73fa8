"""How fast Zentra is beside a bare DuckDB process on the same files: `python -m benchmarks.bench --sizes 100000`.

Every figure is of a process of its own, wall clock and peak memory; nothing is asserted here, a benchmark is no test.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks.dataset import AS_OF, SETTLEMENT_FILE, WINDOW, Dataset, dataset

WARM = """
import sys, time, warnings
from datetime import date, datetime
warnings.simplefilter("ignore")
from zentra_pipeline.reconcile import RunRequest, reconcile
from zentra_pipeline.settings import Home

home, file_id, day, as_of = sys.argv[1:]
def run(owner):
    request = RunRequest("rail", file_id, date.fromisoformat(day), owner, datetime.fromisoformat(as_of), "bench")
    began = time.perf_counter()
    reconcile(Home.at(home), "acme", request)
    return time.perf_counter() - began
run("first")
print(run("second"))
"""


@dataclass(frozen=True)
class Measure:
    """Wall-clock seconds, peak resident memory in MB, and what the process printed."""

    seconds: float
    peak_mb: int
    output: str


def measured(command: list[str]) -> Measure:
    """Run a command to its end; RuntimeError with its last words when it fails."""
    began = time.perf_counter()
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        process = subprocess.Popen(command, stdout=out, stderr=err)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        err.seek(0)
        if process.returncode:
            raise RuntimeError(f"{' '.join(command[:6])} … failed: {err.read().decode()[-2000:]}")
        return Measure(seconds, usage.ru_maxrss // 1024, out.read().decode())


def zentra(*arguments: str) -> list[str]:
    return [sys.executable, "-W", "ignore", "-m", "zentra_pipeline", *arguments]


def floor(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "benchmarks.floor", *arguments]


def made(folder: Path, movements: int) -> Dataset:
    """The input files, made in a process of their own: a child's peak memory counts from its parent's."""
    program = "import sys, pathlib, benchmarks.dataset as d; d.generate(pathlib.Path(sys.argv[1]), int(sys.argv[2]))"
    measured([sys.executable, "-c", program, str(folder), str(movements)])
    return dataset(folder, movements)


def new_home(folder: Path) -> str:
    home = str(folder)
    measured(zentra("init", "--home", home))
    measured(zentra("tenant", "add", "acme", "--home", home))
    return home


def ingest(home: str, kind: str, path: Path) -> Measure:
    options = ["--home", home, "--tenant", "acme", "--provider", "rail", "--kind", kind]
    if kind == "settlement":
        options += ["--settlement-file", SETTLEMENT_FILE]
    return measured(zentra("ingest", *options, str(path)))


def run(home: str) -> Measure:
    options = ["--home", home, "--tenant", "acme", "--provider", "rail", "--settlement-file", SETTLEMENT_FILE]
    return measured(zentra("run", *options, "--ledger-window", WINDOW, "--owner", "finance_ops", "--as-of", AS_OF))


def say(*cells: object) -> None:
    print("  ".join(f"{cell!s:>{width}}" for cell, width in zip(cells, (34, 10, 10, 12, 10), strict=False)), flush=True)


def bench_size(folder: Path, movements: int) -> None:
    """One window of so many movements: read against ingest, floor against run."""
    inputs = folder / f"inputs_{movements}"
    inputs.mkdir()
    data = made(inputs, movements)
    home = new_home(folder / f"home_{movements}")
    say(f"{movements:,} movements", "seconds", "ratio", "per second", "peak MB")
    for kind, path in data.kinds.items():
        read = measured(floor("read", kind, str(path)))
        taken = ingest(home, kind, path)
        say(f"DuckDB reads {path.name}", f"{read.seconds:.2f}", "1.0", f"{movements / read.seconds:,.0f}", read.peak_mb)
        ratio = f"{taken.seconds / read.seconds:.1f}"
        say(f"zentra ingest {kind}", f"{taken.seconds:.2f}", ratio, f"{movements / taken.seconds:,.0f}", taken.peak_mb)
    paths = [str(path) for path in data.kinds.values()]
    least = measured(floor("join", *paths, str(folder / "floor.parquet")))
    say(
        "floor: read, join, write once",
        f"{least.seconds:.2f}",
        "1.0",
        f"{movements / least.seconds:,.0f}",
        least.peak_mb,
    )
    took = run(home)
    ratio = f"{took.seconds / least.seconds:.1f}"
    say("zentra run", f"{took.seconds:.2f}", ratio, f"{movements / took.seconds:,.0f}", took.peak_mb)
    print(flush=True)


def bench_fixed_cost(folder: Path) -> None:
    """What a window without rows costs: from a cold command line, and once more in a process that has run one."""
    inputs = folder / "inputs_0"
    inputs.mkdir()
    data = made(inputs, 0)
    home = new_home(folder / "home_0")
    for kind, path in data.kinds.items():
        ingest(home, kind, path)
    cold = run(home)
    warm = measured([sys.executable, "-c", WARM, home, SETTLEMENT_FILE, WINDOW, AS_OF])
    say("a window without rows", "seconds", "", "", "peak MB")
    say("zentra run, cold", f"{cold.seconds:.2f}", "", "", cold.peak_mb)
    say("a second run in one process", f"{float(warm.output.split()[-1]):.2f}", "", "", warm.peak_mb)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", default="100000,1000000", help="movements of each window, separated by commas")
    sizes = [int(size) for size in parser.parse_args().sizes.split(",")]
    with tempfile.TemporaryDirectory(prefix="zentra-bench-") as name:
        folder = Path(name)
        for movements in sizes:
            bench_size(folder, movements)
        bench_fixed_cost(folder)


if __name__ == "__main__":
    main()
