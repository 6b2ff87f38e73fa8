"""`zentra provider` and `zentra profile`: a profile from a template, and one proposed for a file, up to its ingest."""

from pathlib import Path

from tests.cli.conftest import Zentra

PROFILE = """\
settlement_format: tabular
tabular:
  line_id: id
  amounts: {gross: amount}
  currency: {constant: EUR}
  settled_at: {column: day}
"""


def test_a_profile_is_written_once_from_a_template(zentra: Zentra) -> None:
    zentra("init")
    zentra("tenant", "add", "acme")
    done = zentra("provider", "add", "wise_eur", "--tenant", "acme", "--like", "wise", "--json")
    assert (done.code, done.json["template"]) == (0, "wise")
    assert "settlement_format: tabular" in Path(done.json["file"]).read_text(encoding="utf-8")
    again = zentra("provider", "add", "wise_eur", "--tenant", "acme", "--like", "wise")
    assert (again.code, "is there already and stays as it is" in again.err) == (3, True)
    odd = zentra("provider", "add", "other", "--tenant", "acme", "--like", "monopoly")
    assert (odd.code, "there is no template 'monopoly': use one of canonical, adyen, airbyte-stripe" in odd.err) == (
        2,
        True,
    )
    listed = zentra("provider", "templates", "--json").json["items"]
    assert {"wise", "klarna", "worldpay", "mercadopago", "razorpay", "shopify"} <= set(listed)


def test_a_table_is_ingested_by_its_mapping_and_rebuilt_by_the_one_of_its_time(zentra: Zentra, tmp_path: Path) -> None:
    zentra("init")
    zentra("tenant", "add", "acme")
    written = zentra("provider", "add", "bank", "--tenant", "acme", "--json").json["file"]
    Path(written).write_text(PROFILE, encoding="utf-8")
    file = tmp_path / "set_1.csv"
    file.write_text("id,amount,day\n007,12.50,2026-07-01\n8,1.234,2026-07-01\n", encoding="utf-8")
    command = ("ingest", "--tenant", "acme", "--provider", "bank", "--kind", "settlement", "--json")
    (first,) = zentra(*command, file).json["files"]
    assert (first["rows"], first["staged"], first["quarantined"]) == (2, 1, 1)
    Path(written).write_text(PROFILE.replace("{gross: amount}", "{gross: amount, signs: opposite}"), encoding="utf-8")
    (again,) = zentra(*command, file).json["files"]
    assert again["unchanged"] is True
    assert [note.partition(",")[0] for note in again["notes"]] == ["file of the same bytes is here already"]
    assert zentra("rebuild", "--tenant", "acme").code == 0


def test_a_proposed_mapping_reads_the_file_it_was_proposed_for(zentra: Zentra, tmp_path: Path) -> None:
    file = tmp_path / "bank.csv"
    file.write_text("Ref;Date;Amount;Currency\nA1;2026-07-01;1250,50;EUR\n", encoding="utf-8")
    proposed = tmp_path / "bank.yml"
    proposed.write_text(zentra("profile", "draft", file, "--json").json["profile"], encoding="utf-8")
    shown = zentra("inspect", "--format", "tabular", "--profile", proposed, file, "--json").json["statements"]
    assert [(each["entries"], each["signed_sum_minor"], each["refused"]) for each in shown] == [(1, 125050, None)]
    without = zentra("inspect", "--format", "tabular", file)
    assert (without.code, "needs a column mapping" in without.err) == (2, True)
