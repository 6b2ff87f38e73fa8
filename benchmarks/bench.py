"""How fast Zentra is beside DuckDB by hand on the same files: `python -m benchmarks.bench --sizes 100000`.

The bare floor joins the three files once; the fair floor writes what a run publishes, and is held to its counts and
sums. Every figure is of a process of its own: wall clock, processor time of all its threads, peak memory. Nothing else
is asserted here, a benchmark is no test. `--equal-sizes 250000,1000000` runs windows of nothing but equal amounts
instead.
"""

import argparse
import json
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
from zentra_pipeline.defs.launch import RunRequest, reconcile
from zentra_pipeline.settings import Home
from zentra_pipeline.tenants.tenant import Tenant

home, file_id, day, as_of = sys.argv[1:]
def run(owner):
    request = RunRequest("rail", file_id, date.fromisoformat(day), owner, datetime.fromisoformat(as_of), "bench")
    began, cpu = time.perf_counter(), time.process_time()
    reconcile(Tenant.of(Home.at(home), "acme"), request)
    return time.perf_counter() - began, time.process_time() - cpu
run("first")
print(*run("second"))
"""


@dataclass(frozen=True)
class Measure:
    """Wall-clock seconds, those of the processor, peak resident memory in MB, and what the process printed."""

    seconds: float
    processor: float
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
        return Measure(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss // 1024, out.read().decode())


def zentra(*arguments: str) -> list[str]:
    return [sys.executable, "-W", "ignore", "-m", "zentra_pipeline", *arguments]


def floor(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "benchmarks.floor", *arguments]


def fair_floor(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "benchmarks.fair_floor", *arguments]


def made(folder: Path, movements: int, maker: str = "generate") -> Dataset:
    """The input files, made in a process of their own: a child's peak memory counts from its parent's."""
    program = f"import sys, pathlib, benchmarks.dataset as d; d.{maker}(pathlib.Path(sys.argv[1]), int(sys.argv[2]))"
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
    widths = (34, 10, 10, 10, 12, 10)
    print("  ".join(f"{cell!s:>{width}}" for cell, width in zip(cells, widths, strict=False)), flush=True)


def row(label: str, measure: Measure, floor_processor: float, movements: int) -> None:
    """One line of the table; the ratio is of processor time, which another process beside it disturbs least."""
    ratio = f"{measure.processor / floor_processor:.1f}" if floor_processor else ""
    pace = f"{movements / measure.seconds:,.0f}" if movements else ""
    say(label, f"{measure.seconds:.2f}", f"{measure.processor:.2f}", ratio, pace, measure.peak_mb)


def bench_size(folder: Path, movements: int) -> None:
    """One window of so many movements: read against ingest, floor against run."""
    inputs = folder / f"inputs_{movements}"
    inputs.mkdir()
    data = made(inputs, movements)
    home = new_home(folder / f"home_{movements}")
    say(f"{movements:,} movements", "seconds", "cpu", "cpu ratio", "per second", "peak MB")
    for kind, path in data.kinds.items():
        read = measured(floor("read", kind, str(path)))
        row(f"DuckDB reads {path.name}", read, read.processor, movements)
        row(f"zentra ingest {kind}", ingest(home, kind, path), read.processor, movements)
    paths = [str(path) for path in data.kinds.values()]
    least = measured(floor("join", *paths, str(folder / "floor.parquet")))
    row("bare floor: read, join, write once", least, least.processor, movements)
    out = folder / f"fair_{movements}"
    out.mkdir()
    tenant = Path(home, "tenants", "acme")
    fair = measured(fair_floor(str(tenant / "staged"), str(out)))
    row("fair floor: what a run publishes", fair, least.processor, movements)
    made_run = run(home)
    row("zentra run", made_run, least.processor, movements)
    _check_equal(out, tenant / "lake")
    say("the run against the fair floor", "", "", f"{made_run.processor / fair.processor:.2f}")
    print(flush=True)


def _check_equal(floor_folder: Path, lake: Path) -> None:
    """What the fair floor wrote has the counts and sums of what the run published; RuntimeError where it has not."""
    ours, theirs = (json.loads(measured(fair_floor("sums", str(folder))).output) for folder in (floor_folder, lake))
    unlike = [name for name in ours if ours[name] != theirs[name]]
    if unlike:
        raise RuntimeError(f"the fair floor writes other rows than the run: {', '.join(unlike)}")


def bench_equal(folder: Path, movements: int) -> None:
    """One window of so many equal amounts without references, which ends as suggested or ambiguous."""
    inputs = folder / f"equal_{movements}"
    inputs.mkdir()
    data = made(inputs, movements, "generate_equal")
    home = new_home(folder / f"equal_home_{movements}")
    for kind, path in data.kinds.items():
        ingest(home, kind, path)
    row(f"run of {movements:,} equal amounts", run(home), 0, movements)


def bench_fixed_cost(folder: Path) -> None:
    """What a window without rows costs: from a cold command line, and once more in a process that has run one."""
    inputs = folder / "inputs_0"
    inputs.mkdir()
    data = made(inputs, 0)
    home = new_home(folder / "home_0")
    for kind, path in data.kinds.items():
        ingest(home, kind, path)
    row("zentra run of no rows, cold", run(home), 0, 0)
    warm = measured([sys.executable, "-c", WARM, home, SETTLEMENT_FILE, WINDOW, AS_OF])
    seconds, cpu = warm.output.split()[-2:]
    row("a second run in one process", Measure(float(seconds), float(cpu), warm.peak_mb, ""), 0, 0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", default="100000,1000000", help="movements of each window, separated by commas")
    parser.add_argument("--equal-sizes", default="", help="only windows of so many equal amounts, separated by commas")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="zentra-bench-") as name:
        folder = Path(name)
        if options.equal_sizes:
            say("", "seconds", "cpu", "", "per second", "peak MB")
            for movements in _sizes(options.equal_sizes):
                bench_equal(folder, movements)
            return
        for movements in _sizes(options.sizes):
            bench_size(folder, movements)
        say("", "seconds", "cpu", "", "", "peak MB")
        bench_fixed_cost(folder)


def _sizes(text: str) -> list[int]:
    return [int(size) for size in text.split(",")]


if __name__ == "__main__":
    main()
