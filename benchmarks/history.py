"""What a run costs behind a history: so many windows of N movements, then one movement; `python -m benchmarks.history`.

Each run is a process of its own, and so is one movement in a fresh home beside it. Nothing is asserted here.
"""

import argparse
import shutil
import tempfile
from datetime import date, timedelta
from pathlib import Path

from benchmarks.bench import Measure, measured, new_home, say, zentra
from benchmarks.dataset import WINDOW, generate

_FIRST = date.fromisoformat(WINDOW)


def window(home: str, folder: Path, number: int, movements: int) -> Measure:
    """Ingest and run the window `number` days after the first; the measure is that of the run."""
    day = _FIRST + timedelta(days=number)
    inputs = folder / str(number)
    inputs.mkdir()
    data = generate(inputs, movements, number)
    settlement_file = f"set_{day:%Y_%m_%d}"
    common = ["--home", home, "--tenant", "acme", "--provider", "rail"]
    moved = {kind: path.rename(path.with_name(f"{number}_{path.name}")) for kind, path in data.kinds.items()}
    files = [word for kind, path in moved.items() for word in ("--file", f"{kind}={path}")]
    measured(zentra("ingest", *common, "--settlement-file", settlement_file, *files))
    as_of = f"{day + timedelta(days=1)}T12:00:00Z"
    options = ["--settlement-file", settlement_file, "--ledger-window", str(day), "--owner", "finance_ops"]
    return measured(zentra("run", *common, *options, "--as-of", as_of, "--yes"))


def row(label: str, found: Measure) -> None:
    say(label, f"{found.seconds:.2f}", f"{found.processor:.2f}", found.peak_mb)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--windows", type=int, default=30, help="windows before the last one")
    parser.add_argument("--movements", type=int, default=100_000, help="movements of each of them")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="zentra-history-") as name:
        folder = Path(name)
        say("window", "seconds", "cpu", "peak MB")
        fresh = folder / "fresh"
        fresh.mkdir()
        row("1 movement, fresh home", window(new_home(folder / "fresh_home"), fresh, 0, 1))
        home = new_home(folder / "home")
        for number in range(options.windows):
            found = window(home, folder, number, options.movements)
            row(f"{options.movements:,} movements, window {number + 1}", found)
            shutil.rmtree(folder / str(number))
        row("1 movement behind them", window(home, folder, options.windows, 1))


if __name__ == "__main__":
    main()
