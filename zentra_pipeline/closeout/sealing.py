"""Takes a closeout of a run or a month from approved to sealed: its place in the chain, its bundle signed and in place.

Does not belong here: the files of a bundle (run_bundle, period_files), the form of a seal (seal), the record (closing,
period_closing).
"""

import hashlib
import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from zentra_pipeline.closeout import seal
from zentra_pipeline.instants import instant_text
from zentra_pipeline.keys import signing_keys
from zentra_pipeline.settings import Home
from zentra_pipeline.store.closeouts import Closeout
from zentra_pipeline.store.periods import PeriodCloseout

AnyCloseout = TypeVar("AnyCloseout", Closeout, PeriodCloseout)


def closeout_id_of(tenant: str, subject: str, revision: int) -> str:
    """The id of a closeout: the same closing of the same run or month has the same id everywhere."""
    canonical = json.dumps([tenant, subject, revision], ensure_ascii=False, separators=(",", ":"))
    return "clo_" + hashlib.sha256(canonical.encode()).hexdigest()[:24]


def with_place(
    prepared: AnyCloseout, chain: Sequence[AnyCloseout], actor: str, now: datetime, bundle: str
) -> AnyCloseout:
    """The closeout as it will be sealed, after the last of its chain, while nobody else seals."""
    return replace(
        prepared,
        status="sealed",
        approved_by=actor,
        sealed_at=instant_text(now),
        chain_sequence=1 + (chain[-1].chain_sequence or 0) if chain else 1,
        previous_seal=chain[-1].seal_digest if chain else None,
        bundle=bundle,
    )


def seal_in_place(
    home: Home, bundle: Path, closeout: AnyCloseout, now: datetime, write: Callable[[Path], dict[str, Any]]
) -> AnyCloseout:
    """Write the bundle under a temporary name, sign it and put it in place; or take over one that is the same.

    `write` puts the files beside the seal into a folder and returns the payload.
    """
    left = _recovered(home, bundle, closeout)
    if left is not None:
        return left
    temporary = bundle.with_name(f".{bundle.name}.tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    (temporary / "files").mkdir(parents=True)
    content = write(temporary / "files")
    digest = seal.seal_bundle(temporary, content, signing_keys.signing_key(home, now))
    seal.put_in_place(temporary, bundle)
    return replace(closeout, seal_digest=digest)


def _recovered(home: Home, bundle: Path, closeout: AnyCloseout) -> AnyCloseout | None:
    """A crash came between a seal and its record: the seal is taken over when it says the same, else it never was."""
    from zentra_pipeline.closeout import verify

    if not bundle.exists():
        return None
    checked = verify.verify(bundle, home.trust)
    for found in checked.seals if checked.holds else ():
        known = found.payload
        said = (known["evidence_root"], known["prepared_at"], known["approved_by"], known["chain"]["previous_seal"])
        if said == (closeout.evidence_root, closeout.prepared_at, closeout.approved_by, closeout.previous_seal):
            return replace(closeout, sealed_at=known["sealed_at"], seal_digest=found.seal_digest)
    shutil.rmtree(bundle)
    return None
