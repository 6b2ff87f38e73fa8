"""Why a closeout is amended, by what the run saw since it was sealed."""

from zentra_pipeline.closeout.payload import reason_to_amend
from zentra_pipeline.store.runs import Revision

SETTLEMENT = {"kind": "settlement", "file_id": "set_1", "sequence": 1}
CALLBACKS = {"kind": "callbacks", "file_id": "callbacks_1", "sequence": 2}


def _revision(number: int, inputs_digest: str, *files: dict[str, object]) -> Revision:
    manifest = {"files": list(files), "run": {"settlement_file": "set_1"}}
    return Revision("run_1", number, "", inputs_digest, "finance_ops", "", {}, "", manifest)


def test_a_callback_that_the_run_saw_is_the_reason() -> None:
    sealed = _revision(1, "a" * 64, SETTLEMENT)
    assert reason_to_amend(sealed, _revision(2, "b" * 64, SETTLEMENT, CALLBACKS)) == "late callback (callbacks_1)"


def test_a_file_of_which_the_run_saw_no_row_is_no_reason() -> None:
    """A callback received after the run's as_of was once given as the reason of an amendment that did not hold it."""
    sealed = _revision(1, "a" * 64, SETTLEMENT)
    assert reason_to_amend(sealed, _revision(2, "a" * 64, SETTLEMENT, CALLBACKS)) == (
        "the run was made again after decisions, settings, quarantined rows or an earlier run changed"
    )
