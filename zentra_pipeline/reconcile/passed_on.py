"""Which files' rows went on to a later run, because all earlier runs of the file were voided; pure.

Does not belong here: voiding a run (review.voiding), and what a run makes of the rows (dbt).
"""

from collections.abc import Sequence

from zentra_pipeline.store.runs import Run


def files_passed_on(runs: Sequence[Run], run_id: str) -> dict[str, str]:
    """Settlement file → the file of the run that its rows went on to, as the run `run_id` sees it.

    `runs` are the provider's, in order of creation, up to and including that run. The rows of a file go on to the first
    run made after the last one that was taken back, unless that is a run of the file itself or an earlier one has them.
    """
    live = [run for run in runs if run.is_published or run.run_id == run_id]
    taken_back = {run.settlement_file: run.sequence for run in runs if run.is_void and run.run_id != run_id}
    found = {}
    for file, last in sorted(taken_back.items()):
        following = next((run for run in live if run.sequence > last), None)
        has_them = any(run.settlement_file == file and run.sequence < last for run in live)
        if following is not None and following.settlement_file != file and not has_them:
            found[file] = following.settlement_file
    return found
