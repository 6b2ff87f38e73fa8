"""Checks of a tenant's files against what was recorded of them: landed, staged and published. Nothing is changed."""

import shlex
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from zentra_pipeline import locks, private_database
from zentra_pipeline.config.profile import load_profile
from zentra_pipeline.contracts import CONTRACTS, staged_tables
from zentra_pipeline.errors import ZentraError
from zentra_pipeline.ingest import landing, staged_digests
from zentra_pipeline.reconcile import related_rows, row_keys
from zentra_pipeline.reconcile.related_rows import Source
from zentra_pipeline.review import attachments
from zentra_pipeline.settings import TenantPaths
from zentra_pipeline.store import leases
from zentra_pipeline.store.files import StagedFile
from zentra_pipeline.upkeep.finding import ERROR, NOTE, Finding, command
from zentra_pipeline.upkeep.records import Records


def check_landing(records: Records) -> Iterator[Finding]:
    """Landed bytes are those their name says, and those of every registered file are there."""
    files: dict[str, StagedFile] = {file.sha256: file for file in records.files}
    files |= {file.sha256: file for file in records.files if not records.is_deleted(file)}
    for digest, file in files.items():
        path = records.paths.landing / digest
        found = landing.digest_of(path)
        if records.is_deleted(file) and found in (None, digest):
            if found == digest:
                what = "a tombstone says that it was deleted: it was ingested again, or an apply ended early"
                remedy = command("retention", "apply", "--tenant", records.tenant.name, "--yes")
                yield Finding("landing", f"landing/{digest}", NOTE, what, remedy)
            continue
        if found is None and records.was_deleted_since(file):
            continue
        if found != digest:
            what = "the bytes as received are gone" if found is None else f"the bytes are others now ({found})"
            subject = f"landing/{digest} ({file.kind} file {file.file_id})"
            yield Finding("landing", subject, ERROR, what, _ingest_again(records.tenant.name, file))
    for path in sorted(records.paths.landing.glob("*")):
        if path.is_file() and path.name not in files:
            what = "no registration names it: its ingest ended before it was recorded, or ops.db is older"
            yield _leftover("landing", records.paths, path, what, _ingest_landed(records, path))


def check_tombstones(records: Records) -> Iterator[Finding]:
    """A tombstone stands for bytes that were registered, or for a delivery that was set aside, and names seals."""
    sealed = {closeout.closeout_id for closeout in records.sealed}
    emptied = {each.sha256 for each in records.set_aside if not each.byte_size}
    for tombstone in [*records.tombstones.values(), *records.emptied]:
        registered = {file.sequence for file in records.files if file.sha256 == tombstone.sha256}
        if tombstone.files:
            subject, is_of_it = f"landing/{tombstone.sha256}", set(tombstone.files) <= registered
        else:
            subject, is_of_it = f"delivery {tombstone.sha256}", tombstone.sha256 in emptied
        if not is_of_it:
            what = "it stands for bytes that were registered otherwise"
        elif not tombstone.sealed_by or not sealed.issuperset(tombstone.sealed_by):
            what = "it names closeouts that are not sealed: what it stands for was not deleted by retention"
        else:
            continue
        yield Finding("tombstones", subject, ERROR, what, "restore ops.db and the bytes from a backup")


def check_attachments(records: Records) -> Iterator[Finding]:
    """Files attached to comments are the bytes that the log, and a seal, have the digest of."""
    named = {found.sha256: found.name for found in map(attachments.named, records.decisions) if found is not None}
    for digest, name in named.items():
        found = landing.digest_of(attachments.path_of(records.paths, digest))
        if found != digest:
            what = "the file is gone" if found is None else f"the bytes are others now ({found})"
            remedy = "put it back from a backup, or attach the same file to a comment again"
            yield Finding("attachments", f"attachments/{digest} ({name})", ERROR, what, remedy)


def _ingest_again(tenant: str, file: StagedFile) -> str:
    whose = f"--{CONTRACTS[file.kind].lineage}"
    words = ("--tenant", tenant, whose, file.provider, "--kind", file.kind, "--settlement-file", file.file_id)
    return command("ingest", *words, "--", file.original_name)


def _ingest_landed(records: Records, path: Path) -> str:
    """The command that registers landed bytes again, as they were by what was staged of them; empty where none was."""
    for kind, contract in CONTRACTS.items():
        for staged in sorted((records.paths.staged / contract.table).glob(f"*-{path.name[:16]}.parquet")):
            try:
                rows = pq.read_table(staged, columns=[contract.lineage, "file_id"]).slice(0, 1).to_pylist()
            except (OSError, pa.ArrowException):
                continue
            for row in rows:
                words = (
                    "--tenant",
                    records.tenant.name,
                    f"--{contract.lineage}",
                    row[contract.lineage],
                    "--kind",
                    kind,
                )
                return command("ingest", *words, "--settlement-file", row["file_id"], "--", str(path))
    return ""


def check_staged(records: Records) -> Iterator[Finding]:
    """Every staged and quarantine file is there, can be read whole, and has the rows that were registered."""
    remedy = command("rebuild", "--tenant", records.tenant.name)
    known = set()
    for file in records.files:
        for path, rows in ((file.staged_path, file.rows_staged), (file.quarantine_path, file.rows_quarantined)):
            if path is None:
                continue
            known.add(records.paths.root / path)
            problem = _problem_of_rows(records.paths.root / path, rows, file)
            if problem:
                yield Finding("staged", path, ERROR, problem, remedy)
        for problem in staged_digests.problems(records.paths, file, records.facts):
            if "is not what ingest wrote" in problem:
                yield Finding("staged", problem.partition(" ")[0], ERROR, problem, remedy)
        if file.staged_path and (file.sequence not in records.facts or not records.facts[file.sequence].is_proven):
            what = "it was staged before digests were recorded: nothing proves that it is what ingest wrote"
            yield Finding("staged", file.staged_path, NOTE, what, remedy)
    if not leases.is_held(records.paths, locks.INGEST):
        for left in sorted({path for path in records.paths.staged.rglob("*") if path.is_file()} - known):
            yield _leftover("staged", records.paths, left, "no registration names it: its ingest ended before")


def _problem_of_rows(path: Path, rows: int, file: StagedFile) -> str | None:
    """Reads every value: a page that does not decode is damage, and so is a row of another file."""
    if not path.is_file():
        return "it is gone"
    found = 0
    try:
        with pq.ParquetFile(path) as content:
            for batch in content.iter_batches():
                frame = pl.DataFrame(pl.from_arrow(batch))
                foreign = (pl.col("file_sha256") != file.sha256) | (pl.col("file_sequence") != file.sequence)
                if frame.select(foreign.any()).item():
                    return "it holds rows of another file"
                found += frame.height
    except (OSError, pa.ArrowException, pl.exceptions.PolarsError, UnicodeDecodeError) as error:
        return f"it cannot be read: {' '.join(str(error).split())}"
    return None if found == rows else f"it has {found:,} rows, and {rows:,} were registered"


def check_lake(records: Records) -> Iterator[Finding]:
    """Every published file, of old revisions too, has the bytes it was recorded with."""
    recorded = {entry["path"]: entry["sha256"] for item in records.revisions for entry in item.tables.values()}
    recorded |= {entry.path: entry.sha256 for entry in records.entries if entry.path}
    recorded |= {item.evidence_path: item.evidence_sha256 for item in records.closeouts if item.evidence_path}
    for path, digest in sorted(recorded.items()):
        found = landing.digest_of(records.paths.root / path)
        if found != digest:
            what = "it is gone" if found is None else f"its bytes are others now ({found}, recorded {digest})"
            yield Finding("lake", path, ERROR, what, command("rebuild", "--tenant", records.tenant.name))
    if _is_at_rest(records):
        known = {records.paths.root / path for path in recorded}
        pointers = records.paths.lake / "_current"
        for left in sorted(path for path in records.paths.lake.rglob("*") if path.is_file() and path not in known):
            if left.parent != pointers:
                yield _leftover("lake", records.paths, left, "no revision names it: its run ended before it published")


def check_row_keys(records: Records) -> Iterator[Finding]:
    """Every key file holds the keys of its file: one that lacks some would hide rows of the past from a run."""
    normalizers = {}
    for provider in {run.provider for run in records.runs}:
        with suppress(ZentraError):  # its profile is another command's to complain of
            normalizers[provider] = load_profile(records.paths, provider).reference_normalizer
    with private_database.opened() as connection:
        for source, normalizer in sorted(_keyed_sources(records, normalizers), key=str):
            path = row_keys.key_file(records.paths.root, source.path, normalizer)
            if not path.is_file() or not source.path.is_file():
                continue
            try:
                is_right = row_keys.agree(connection, source.table, related_rows.rows_of_file(source), path, normalizer)
                what = "" if is_right else "it does not hold the keys of the file it is of"
            except duckdb.Error as error:
                what = f"it cannot be read: {' '.join(str(error).split())}"
            if what:
                subject = path.relative_to(records.paths.root).as_posix()
                yield Finding("row_keys", subject, ERROR, what, command("rebuild", "--tenant", records.tenant.name))


def _keyed_sources(records: Records, normalizers: Mapping[str, str]) -> set[tuple[Source, str]]:
    """The files that runs look rows up in, each with every normalizer it may be looked up with."""
    found = {
        (Source(staged_tables.TABLE_OF_KIND[file.kind], records.paths.root / file.staged_path), normalizer)
        for file in records.files
        for provider, normalizer in normalizers.items()
        if file.staged_path
        and file.kind in staged_tables.TABLE_OF_KIND
        and (file.kind == "ledger" or file.provider == provider)
    }
    return found | {
        (Source(table, records.paths.root / item.tables[table]["path"]), normalizers[provider])
        for item in records.current.values()
        for table in related_rows.PUBLISHED
        if table in item.tables and (provider := records.runs_by_id[item.run_id].provider) in normalizers
    }


def check_scratch(records: Records) -> Iterator[Finding]:
    """Private databases and half-made rebuilds whose process died."""
    if not _is_at_rest(records):
        return
    folders: Sequence[Path] = [
        *sorted(records.paths.scratch.glob("*")),
        *records.paths.root.glob("rebuild"),
    ]
    for folder in folders:
        yield _leftover("scratch", records.paths, folder, "a run or rebuild that ended early left it")


def _is_at_rest(records: Records) -> bool:
    return not any(leases.is_held(records.paths, locks.provider_lock(run.provider)) for run in records.runs)


def _leftover(check: str, paths: TenantPaths, path: Path, what: str, again: str = "") -> Finding:
    if check != "scratch":  # it may be all that is left of what an older ops.db does not know
        remedy = "leave it, nothing reads it; where ops.db was restored from a backup, restore a newer one"
        if again:
            remedy += f" or, where there is none, {again}"
        return Finding(check, path.relative_to(paths.root).as_posix(), NOTE, what, remedy)
    return Finding(check, path.relative_to(paths.root).as_posix(), NOTE, what, f"rm -r {shlex.quote(str(path))}")
