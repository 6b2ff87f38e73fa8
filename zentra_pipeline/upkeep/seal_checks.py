"""Checks of closeouts and their sealed bundles: rows against bundles, the chain, keys. Nothing is changed.

What a bundle must hold in itself is closeout.verify's to say.
"""

import json
import shlex
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Final

from zentra_pipeline.closeout import chain_heads, verify
from zentra_pipeline.errors import ZentraError
from zentra_pipeline.keys import signers, signing_keys
from zentra_pipeline.settings import Home
from zentra_pipeline.store.closeouts import Closeout
from zentra_pipeline.store.periods import PeriodCloseout
from zentra_pipeline.upkeep.finding import ERROR, NOTE, Finding, command
from zentra_pipeline.upkeep.records import Records

_RESTORE_BUNDLE: Final = "put the bundle back from a copy: a seal cannot be made again"
_RESTORE_STORE: Final = "restore the newest backup of ops.db"
_SAID_BY_BOTH: Final = (
    "closeout_id",
    "run_id",
    "run_revision",
    "provider",
    "settlement_file",
    "ledger_window",
    "evidence_root",
    "evidence_rows",
    "evidence_status",
    "prepared_by",
    "approved_by",
)


def check_prepared(records: Records) -> Iterator[Finding]:
    """A closeout that is prepared is of the current revision; that of a window without a run is of none, 0."""
    revisions = {run.run_id: run.revision for run in records.runs if not run.is_void}
    for closeout in records.closeouts:
        current = revisions.get(closeout.run_id, 0)
        if closeout.chain_sequence is None and closeout.run_revision != current:
            what = f"it was prepared of revision {closeout.run_revision}, and {current} is current"
            remedy = command(
                "close", "--tenant", records.tenant.name, "--run", closeout.run_id, "--actor", closeout.prepared_by
            )
            yield Finding("prepared", closeout.closeout_id, ERROR, what, remedy)


def check_chain(records: Records) -> Iterator[Finding]:
    """Seals of each provider, and of months, are numbered from 1 without a gap, and each names the one before it."""
    chains: dict[str, list[Closeout | PeriodCloseout]] = defaultdict(list)
    for closeout in records.sealed:
        chains[closeout.provider].append(closeout)
    for sign_off in records.sign_offs:
        if sign_off.is_sealed:
            chains["months"].append(sign_off)
    for provider, chain in sorted(chains.items()):
        chain.sort(key=lambda each: each.chain_sequence or 0)
        previous = None
        for place, item in enumerate(chain, start=1):
            if item.chain_sequence != place:
                what = f"seal {place} of {provider} is followed by {item.chain_sequence}"
                yield Finding("chain", item.closeout_id, ERROR, what, _RESTORE_STORE)
                break
            if item.previous_seal != previous:
                what = f"it names {item.previous_seal} as the seal before it, which is {previous}"
                yield Finding("chain", item.closeout_id, ERROR, what, _RESTORE_STORE)
            previous = item.seal_digest


def check_heads(records: Records) -> Iterator[Finding]:
    """The list of a provider's seals, or of months', which is published elsewhere, is that of the chain."""
    remedy = command("rebuild", "--tenant", records.tenant.name, "--readers-only")
    chains: dict[str, list[tuple[int | None, str | None]]] = defaultdict(list)
    for item in records.sealed:
        chains[f"{item.provider}.json"].append((item.chain_sequence, item.seal_digest))
    for sign_off in records.sign_offs:
        if sign_off.is_sealed:
            chains[chain_heads.PERIOD_HEAD].append((sign_off.chain_sequence, sign_off.seal_digest))
    for name, unordered in sorted(chains.items()):
        path, chain = records.paths.heads / name, sorted(unordered, key=lambda each: each[0] or 0)
        try:
            seals = json.loads(path.read_bytes())["seals"]
            listed = [(item["sequence"], item["seal_digest"]) for item in seals]
        except (OSError, ValueError, KeyError, TypeError) as error:
            yield Finding("heads", f"heads/{path.name}", ERROR, f"it cannot be read: {error}", remedy)
            continue
        if listed != chain:
            yield Finding("heads", f"heads/{path.name}", ERROR, "it does not list the seals of ops.db", remedy)


def check_bundles(records: Records) -> Iterator[Finding]:
    """Each seal has its bundle, which verifies and says what the row says; no bundle is there without a row."""
    folder = records.paths.closeouts
    known = set()
    for sign_off in records.sign_offs:
        if sign_off.is_sealed:
            known.add(records.paths.root / str(sign_off.bundle))
            yield from _check_sign_off(records, sign_off)
    for closeout in records.sealed:
        path = records.paths.root / str(closeout.bundle)
        known.add(path)
        if not path.is_dir():
            yield Finding(
                "bundles", closeout.closeout_id, ERROR, f"its bundle {closeout.bundle} is gone", _RESTORE_BUNDLE
            )
            continue
        report = verify.verify(path, records.tenant.home.trust)
        for finding in report.findings:
            if not finding.holds:
                what = f"{finding.check} does not hold: {finding.detail}"
                yield Finding("bundles", str(closeout.bundle), ERROR, what, _RESTORE_BUNDLE)
        if report.holds:
            for problem in _disagreements(closeout, report.seals[0]):
                yield Finding("bundles", closeout.closeout_id, ERROR, problem, _RESTORE_STORE)
    for path in sorted(found.parent for found in folder.glob("*/*/seal.json")):
        if path.name.startswith("."):
            what, remedy = "a close that ended early left it", f"rm -r {shlex.quote(str(path))}"
            yield Finding("bundles", path.relative_to(records.paths.root).as_posix(), NOTE, what, remedy)
        elif path not in known:
            what = "ops.db knows no seal of it: it lost the closeout, or a close ended early"
            run = next((run for run in records.runs if run.run_id == path.parent.name), None)
            remedy = _RESTORE_STORE
            if run is not None and run.closeout_status in ("prepared", "open", "blocked"):
                remedy += (
                    f"; if it is the newest, {command('close', '--tenant', records.tenant.name, '--run', run.run_id)}"
                )
            yield Finding("bundles", path.relative_to(records.paths.root).as_posix(), ERROR, what, remedy)


def _check_sign_off(records: Records, sign_off: PeriodCloseout) -> Iterator[Finding]:
    """A month's sign-off has its bundle, which verifies and says what the row says."""
    path = records.paths.root / str(sign_off.bundle)
    if not path.is_dir():
        yield Finding("bundles", sign_off.closeout_id, ERROR, f"its bundle {sign_off.bundle} is gone", _RESTORE_BUNDLE)
        return
    report = verify.verify(path, records.tenant.home.trust)
    for finding in report.findings:
        if not finding.holds:
            what = f"{finding.check} does not hold: {finding.detail}"
            yield Finding("bundles", str(sign_off.bundle), ERROR, what, _RESTORE_BUNDLE)
    if report.holds:
        payload = report.seals[0].payload
        said = {name: payload[name] for name in ("closeout_id", "period", "evidence_root", "evidence_rows")}
        said |= {name: payload[name] for name in ("prepared_by", "approved_by", "sealed_at")}
        said |= {"revision": payload["closeout_revision"], "seal_digest": report.seals[0].seal_digest}
        said |= {"chain_sequence": payload["chain"]["sequence"], "previous_seal": payload["chain"]["previous_seal"]}
        for name, sealed in said.items():
            row = getattr(sign_off, name)
            if row != sealed:
                what = f"ops.db says {name} is {row!r}, its bundle {sealed!r}"
                yield Finding("bundles", sign_off.closeout_id, ERROR, what, _RESTORE_STORE)


def _disagreements(closeout: Closeout, seal: verify.Seal) -> Iterator[str]:
    payload = seal.payload
    chain, amends = payload["chain"], payload["amends"]
    pairs: dict[str, tuple[Any, Any]] = {name: (getattr(closeout, name), payload[name]) for name in _SAID_BY_BOTH} | {
        "revision": (closeout.revision, payload["closeout_revision"]),
        "seal_digest": (closeout.seal_digest, seal.seal_digest),
        "chain_sequence": (closeout.chain_sequence, chain["sequence"]),
        "previous_seal": (closeout.previous_seal, chain["previous_seal"]),
        "amends": (closeout.amends, amends and amends["closeout_id"]),
        "reason": (closeout.reason, amends and amends["reason"]),
    }
    for name, (row, sealed) in pairs.items():
        if row != sealed:
            yield f"ops.db says {name} is {row!r}, its bundle {sealed!r}"


def check_keys(home: Home) -> Iterator[Finding]:
    """The list of keys can be read, and the key that signs next is there."""
    try:
        records = signing_keys.records(home)
    except (ZentraError, ValueError, TypeError, KeyError, OSError) as error:
        yield Finding(
            "keys", home.trust.name, ERROR, f"it cannot be read: {error}", "restore it from a copy handed out"
        )
        return
    if not records:
        if any(home.keys.glob("*.pem")):
            yield Finding(
                "keys", home.trust.name, ERROR, "it is gone, and there are keys", "restore it from a copy handed out"
            )
        return
    path = home.keys / f"{records[-1].keyid}.pem"
    if not path.exists() and signers.load_signing(home).sign_with != signers.FILE:
        try:
            signing_keys.signing_key(home, datetime.now(UTC))
        except ZentraError as error:
            what = f"the key that signs is kept elsewhere and cannot be used: {error}"
            yield Finding("keys", "signing.yml", ERROR, what, "correct signing.yml, or have its keeper answer")
        return
    if not path.is_file() or b"PRIVATE KEY" not in path.read_bytes():
        what = "the key that signs is gone or no key: nothing can be sealed"
        yield Finding("keys", f"keys/{path.name}", ERROR, what, "restore the folder keys from a backup")
