"""Makes one run again from retained inputs, in scratch, and compares it with what was sealed or recorded.

Its files are staged again from landed bytes; the earlier runs it started from are taken as published, where their bytes
have the recorded digests. Nothing is changed. Does not belong here: whether a seal itself holds (closeout.verify).
"""

import base64
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any, Final

import duckdb

from zentra_pipeline.errors import UsageError, VerificationError
from zentra_pipeline.ingest import landing
from zentra_pipeline.settings import Home, TenantPaths
from zentra_pipeline.store.closeouts import Closeout
from zentra_pipeline.store.runs import Revision
from zentra_pipeline.tenants.tenancy import require_tenant
from zentra_pipeline.tenants.tenant import Tenant
from zentra_pipeline.upkeep import evidence, fetched, records, remake
from zentra_pipeline.upkeep.records import Records

INPUTS: Final = "inputs"
EVIDENCE: Final = "evidence"
_SHOWN_ROWS: Final = 10

Progress = Callable[[str, str], None]


@dataclass(frozen=True)
class Claim:
    """What a run is said to have come to: by the seal of a closeout, or as the operational store recorded it.

    `bundle` is null for a run that is not sealed, `evidence_root` too.
    """

    run_id: str
    revision: int
    inputs_digest: str
    tables: Mapping[str, str]
    evidence_root: str | None
    closeout_id: str | None
    bundle: Path | None


@dataclass(frozen=True)
class Comparison:
    """One thing compared: `inputs`, a table or `evidence`; `rows` are some that differ: `-` claimed, `+` made now."""

    name: str
    claimed: str
    found: str
    rows: tuple[tuple[str, str], ...] = ()
    is_same_rows: bool = False

    @property
    def holds(self) -> bool:
        """Whether it is the same: the bytes, or the rows where another release writes them in other bytes."""
        return self.claimed == self.found or self.is_same_rows


@dataclass(frozen=True)
class Reperformed:
    """How a run made again compares with its claim, and how many earlier runs were taken as published.

    `deleted` says of which files retention deleted the bytes: their rows were taken as staged.
    """

    claim: Claim
    earlier: int
    comparisons: tuple[Comparison, ...]
    deleted: tuple[str, ...] = ()

    @property
    def holds(self) -> bool:
        return all(comparison.holds for comparison in self.comparisons)


def reperform(
    tenant: Tenant, run_id: str, revision: int | None = None, progress: Progress | None = None
) -> Reperformed:
    """Make a run again and compare it with its newest seal, else with its current revision, or with a given one.

    UsageError when it never was published; VerificationError when what it was made from is damaged.
    """
    fetched.everything(tenant)
    kept = records.read(tenant)
    run = kept.runs_by_id.get(run_id)
    if run is None or not run.revision:
        raise UsageError(
            f"run {run_id} has published nothing: `zentra runs list --tenant {tenant.name}` names those that did"
        )
    of_run = [item for item in kept.sealed if item.run_id == run_id and item.run_revision]
    seals = [item for item in of_run if revision in (None, item.run_revision)]
    if seals:
        return _reperform(kept, claim_of_bundle(kept.paths.root / str(seals[-1].bundle)), progress or _silent)
    number = run.revision if revision is None else revision
    recorded = kept.revisions_by_key.get((run_id, number))
    if recorded is None:
        raise UsageError(f"run {run_id} has no revision {number}: it is at revision {run.revision}")
    tables = {name: entry["sha256"] for name, entry in recorded.tables.items()}
    claim = Claim(run_id, number, recorded.inputs_digest, tables, None, None, None)
    return _reperform(kept, claim, progress or _silent)


def reperform_bundle(home: Home, bundle: Path, progress: Progress | None = None) -> Reperformed:
    """Make the run that a bundle seals again and compare it with that bundle; errors as reperform's."""
    claim = claim_of_bundle(bundle)
    tenant = require_tenant(home, str(_payload(bundle)["tenant"]))
    fetched.everything(tenant)
    return _reperform(records.read(tenant), claim, progress or _silent)


def claim_of_bundle(bundle: Path) -> Claim:
    """What a bundle says of its run; VerificationError when it cannot be read."""
    payload, inputs = _payload(bundle), evidence.sealed_manifest(bundle)
    if inputs is None:
        raise VerificationError(f"{bundle}: files/inputs.json cannot be read; check the bundle with `zentra verify`")
    try:
        return Claim(
            run_id=payload["run_id"],
            revision=payload["run_revision"],
            inputs_digest=payload["digests"]["inputs"],
            tables={name: entry["sha256"] for name, entry in inputs.get("tables", {}).items()},
            evidence_root=payload["evidence_root"],
            closeout_id=payload["closeout_id"],
            bundle=bundle,
        )
    except (KeyError, TypeError, AttributeError) as cause:
        raise VerificationError(
            f"{bundle} is not the bundle of a closeout ({cause}); check it with `zentra verify`"
        ) from cause


def _payload(bundle: Path) -> dict[str, Any]:
    try:
        content = json.loads(base64.b64decode(json.loads((bundle / "seal.json").read_bytes())["payload"]))
    except (OSError, ValueError, KeyError, TypeError) as cause:
        raise VerificationError(f"{bundle}: seal.json cannot be read ({cause}); name the folder of a bundle") from cause
    if not isinstance(content, dict):
        raise VerificationError(f"{bundle}: seal.json holds no payload of a closeout")
    return content


def _reperform(kept: Records, claim: Claim, report: Progress) -> Reperformed:
    if not claim.revision:
        raise UsageError(f"{claim.closeout_id} closes a window without activity: there is no run to make again")
    recorded = kept.revisions_by_key.get((claim.run_id, claim.revision))
    if recorded is None:
        raise VerificationError(f"ops.db knows no revision {claim.revision} of run {claim.run_id}, which is sealed")
    revision = evidence.sealed_revision(recorded, claim.bundle) if claim.bundle else recorded
    if not revision.manifest:
        raise UsageError(f"run {claim.run_id} was published before Zentra kept what a run is made from")
    tables = _tables_of_earlier(kept, revision)
    deleted = tuple(what for file in remake.files_read(revision, kept) if (what := remake.deleted(kept, file)))
    with remake.workspace(kept.paths, f"reperform-{os.getpid()}") as made:
        for file in remake.files_read(revision, kept):
            report("restage", f"{file.kind} file {file.file_id} of {file.provider}")
            remake.remake_file(kept.paths, made, file, kept)
        report("remake", f"revision {claim.revision} of run {claim.run_id}")
        found = remake.remake_revision(remake.inputs_of(revision, kept, tables), revision, made)
        comparisons = [Comparison(INPUTS, claim.inputs_digest, found.inputs_digest)]
        for name, claimed in sorted(claim.tables.items()):
            digest = found.tables[name].sha256 if name in found.tables else ""
            rows = () if digest == claimed else _rows_apart(kept.paths, made, recorded, found, name, claimed)
            comparisons.append(Comparison(name, claimed, digest, rows or (), is_same_rows=rows == ()))
        if claim.closeout_id is not None:
            report(EVIDENCE, f"closeout {claim.closeout_id}")
            comparisons.append(_compare_evidence(kept, made, claim))
    return Reperformed(claim, len(tables), tuple(comparisons), deleted)


def _tables_of_earlier(kept: Records, revision: Revision) -> dict[records.RevisionKey, dict[str, Path]]:
    """The published tables of the runs a revision started from, all of them as recorded."""
    found: dict[records.RevisionKey, dict[str, Path]] = {}
    for key in remake.made_from(revision):
        if key not in kept.revisions_by_key:
            raise VerificationError(f"ops.db knows no revision {key[1]} of run {key[0]}, which the run was made from")
        found[key] = {}
        for name, entry in kept.revisions_by_key[key].tables.items():
            path = kept.paths.root / entry["path"]
            if landing.digest_of(path) != entry["sha256"]:
                raise VerificationError(
                    f"{entry['path']}, which the run was made from, is missing or damaged: "
                    f"`zentra rebuild --tenant {kept.tenant.name}` makes it again"
                )
            found[key][name] = path
    return found


def _rows_apart(
    paths: TenantPaths, made: TenantPaths, recorded: Revision, found: remake.Remade, name: str, claimed: str
) -> tuple[tuple[str, str], ...] | None:
    """Some rows that differ; null where the published file has no longer the claimed bytes and nobody can say."""
    entry = recorded.tables.get(name)
    if entry is None or name not in found.tables or landing.digest_of(paths.root / entry["path"]) != claimed:
        return None
    rows = remake.rows_apart(paths.root / entry["path"], made.root / found.tables[name].path, _SHOWN_ROWS)
    return tuple((sign, json.dumps(row, default=str, ensure_ascii=False)) for sign, row in rows)


def _compare_evidence(kept: Records, made: TenantPaths, claim: Claim) -> Comparison:
    """The evidence from the tables just made; those of other runs are as published."""
    closeout = next((item for item in kept.sealed if item.closeout_id == claim.closeout_id), None)
    if closeout is None:
        raise VerificationError(f"ops.db knows no closeout {claim.closeout_id}, which the bundle seals")
    evidence.copy_store(kept.paths, made)
    current = (entry["path"] for revision in kept.revisions for entry in revision.tables.values())
    evidence.borrow(kept.paths, made, current)
    assert claim.evidence_root is not None
    try:
        remade = evidence.remake_evidence(made, kept, _in_bundle(closeout, claim, kept.paths))
    except duckdb.Error as cause:
        raise VerificationError(f"the evidence cannot be made again: {' '.join(str(cause).split())}") from cause
    rows = () if remade.root == claim.evidence_root else _leaves_apart(claim.bundle, remade.leaves)
    return Comparison(EVIDENCE, claim.evidence_root, remade.root, rows)


def _in_bundle(closeout: Closeout, claim: Claim, paths: TenantPaths) -> Closeout:
    """The closeout with the bundle that was named, which may be a copy elsewhere."""
    assert claim.bundle is not None
    return replace(closeout, bundle=os.path.relpath(claim.bundle.absolute(), paths.root))


def _leaves_apart(bundle: Path | None, made: Path) -> tuple[tuple[str, str], ...]:
    """Leaves that are in the bundle only, or only in what was made now."""
    assert bundle is not None
    claimed = (bundle / "files" / "evidence.jsonl").read_text(encoding="utf-8").splitlines()
    found = made.read_text(encoding="utf-8").splitlines()
    gone = (("-", line) for line in sorted(set(claimed) - set(found)))
    new = (("+", line) for line in sorted(set(found) - set(claimed)))
    return (*islice(gone, _SHOWN_ROWS), *islice(new, _SHOWN_ROWS))


def _silent(step: str, message: str) -> None:
    del step, message
