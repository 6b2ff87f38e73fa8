"""`zentra runs` lists runs and prints the history of one."""

from datetime import date

from tests.cli.conftest import Publish, Zentra


def test_runs_are_listed_in_order_of_creation(acme: Zentra, publish: Publish) -> None:
    made = [publish(date(2026, 4, day)) for day in (27, 26)]
    found = acme("runs", "list", "--tenant", "acme", "--json").json["items"]
    assert [(run["run_id"], run["sequence"], run["ledger_window"]) for run in found] == [
        (made[0], 1, "2026-04-27"),
        (made[1], 2, "2026-04-26"),
    ]
    assert acme("runs", "list", "--tenant", "acme", "--provider", "other", "--json").json == {"items": []}
    assert [line.split()[0] for line in acme("runs", "list", "--tenant", "acme").out.splitlines()[2:]] == made


def test_a_run_is_shown_with_its_history(acme: Zentra, publish: Publish) -> None:
    run_id = publish(date(2026, 4, 26))
    shown = acme("runs", "show", "--tenant", "acme", run_id, "--json").json
    assert (shown["run_id"], shown["revision"], shown["owner"]) == (run_id, 1, "finance_ops")
    assert [change["status"] for change in shown["transitions"]] == ["created"]
    assert [revision["revision"] for revision in shown["revisions"]] == [1]
    out = acme("runs", "show", "--tenant", "acme", run_id).out
    assert f"run id           {run_id}\n" in out
    assert "2026-04-27T06:00:00.000000Z" in out


def test_an_unknown_run_is_misuse(acme: Zentra) -> None:
    done = acme("runs", "show", "--tenant", "acme", "run_none")
    assert (done.code, done.out) == (2, "")
    assert "there is no run 'run_none'" in done.err
