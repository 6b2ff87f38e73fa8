"""A file attached to a comment is checked, kept under its digest, named in the seal, and handed out only unchanged."""

import hashlib
import json
import shutil
import zipfile
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.closeout.closed_world import close, monday
from tests.scenarios.rows import MON, call, post, settle
from tests.scenarios.world import TENANT, World
from zentra_pipeline import cli
from zentra_pipeline.closeout import verify
from zentra_pipeline.desk import exports
from zentra_pipeline.errors import InputRejectedError, NotFoundError, UsageError, VerificationError
from zentra_pipeline.review import attachments
from zentra_pipeline.store import decisions as decision_store
from zentra_pipeline.upkeep.doctor import examine
from zentra_pipeline.upkeep.finding import Finding

NOON = datetime(2026, 4, 21, 12, tzinfo=UTC)
PDF = b"%PDF-1.7 their answer"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """A Monday whose break was explained by a file, resolved and sealed."""
    made = World(tmp_path_factory.mktemp("attachments"))
    made.add(settle("L1", "R1", 500), post("T1", "R1", 490), call("E1", "R1", 500))
    made.make(MON)
    (row,) = made.query("select exception_id from exceptions where exception_type = 'amount_mismatch'")
    made.inbox.joinpath("answer <b>.pdf").write_bytes(PDF)
    where = ["--tenant", TENANT, "--home", str(made.home.root), "--actor", "ana", "--reason"]
    comment = ["exceptions", "comment", row["exception_id"], *where, "they say so", "--attach"]
    for _ in range(2):  # the second time is nothing new
        assert cli.invoke([*comment, str(made.inbox / "answer <b>.pdf")]) == 0
    for row in made.query("select exception_id from exceptions where status <> 'resolved'"):
        resolve = ["exceptions", "resolve", row["exception_id"], *where, "as they say"]
        assert cli.invoke([*resolve, "--resolution", "provider_error_confirmed"]) == 0
    assert close(made, NOON).status == "sealed"
    return made


def test_the_comment_names_the_file_and_the_seal_its_digest(world: World) -> None:
    digest = hashlib.sha256(PDF).hexdigest()
    with world.tenant.reading() as connection:
        log = decision_store.listed(connection)
    (comment,) = [each for each in log if each.action == "comment"]
    named = {"sha256": digest, "name": "answer <b>.pdf", "media_type": "application/pdf", "size": len(PDF)}
    assert comment.details["attachment"] == named
    bundle = world.paths.closeouts / monday(world) / "r1"
    report = verify.verify(bundle, world.home.trust)
    assert [found for found in report.findings if not found.holds] == []
    assert report.seals[0].payload["version"] == 3
    rows = [json.loads(line) for line in (bundle / "files" / "decisions.jsonl").read_bytes().splitlines()]
    assert [row["attachment"] for row in rows if row["action"] == "comment"] == [named]
    assert {row["attachment"] is None for row in rows if row["action"] != "comment"} == {True}


def test_another_digest_in_the_bundle_does_not_verify(world: World, tmp_path: Path) -> None:
    bundle = tmp_path / "bundle"
    shutil.copytree(world.paths.closeouts / monday(world) / "r1", bundle)
    path = bundle / "files" / "decisions.jsonl"
    path.write_bytes(path.read_bytes().replace(hashlib.sha256(PDF).hexdigest().encode(), b"0" * 64))
    assert "files" in {found.check for found in verify.verify(bundle, world.home.trust).findings if not found.holds}


def test_a_zip_with_the_files_themselves_verifies_and_with_others_it_does_not(world: World, tmp_path: Path) -> None:
    closeout, folder = exports.sealed(world.tenant, monday(world), "1")
    for with_attachments in (False, True):
        packed = exports.zipped(world.paths, closeout, folder, with_attachments=with_attachments)
        with zipfile.ZipFile(packed) as archive:
            archive.extractall(tmp_path / str(with_attachments))
        packed.unlink()
    digest, name = hashlib.sha256(PDF).hexdigest(), exports.name_of(closeout)
    assert not (tmp_path / "False" / name / "attachments").exists()
    file = tmp_path / "True" / name / "attachments" / digest
    assert file.read_bytes() == PDF

    def attachments_of(folder: Path) -> tuple[bool, str]:
        report = verify.verify(folder, world.home.trust)
        (found,) = [each for each in report.findings if each.check == "attachments"]
        return report.holds, found.detail

    bundle = file.parent.parent
    assert attachments_of(bundle) == (True, "1 of 1 attached file here, each as the seal says")
    file.write_bytes(PDF[:-1] + b"!")
    assert attachments_of(bundle) == (False, f"attachment {digest[:12]}… is not what was attached")
    file.write_bytes(PDF)
    file.with_name("0" * 64).write_bytes(PDF)
    assert attachments_of(bundle) == (False, f"no decision names attachment {'0' * 12}…")
    file.with_name("0" * 64).rename(file.with_name("answer.pdf"))
    assert not verify.verify(bundle, world.home.trust).holds


def test_only_the_bytes_that_were_attached_are_handed_out(world: World) -> None:
    digest = hashlib.sha256(PDF).hexdigest()
    with world.tenant.reading() as connection:
        log = decision_store.listed(connection)
    assert attachments.find(world.paths, log, digest)[1] == PDF
    for unknown in ("0" * 64, "../../ops.db", ""):
        with pytest.raises(NotFoundError):
            attachments.find(world.paths, log, unknown)
    path = attachments.path_of(world.paths, digest)
    path.write_bytes(PDF + b"!")
    with pytest.raises(VerificationError, match="not what was attached"):
        attachments.find(world.paths, log, digest)
    assert [(each.check, each.subject) for each in found_by_the_doctor(world)] == [
        ("attachments", f"attachments/{digest} (answer <b>.pdf)")
    ]
    path.unlink()
    assert [each.what for each in found_by_the_doctor(world)] == ["the file is gone"]
    path.write_bytes(b"others")
    attachments.keep(world.paths, "answer.pdf", PDF)
    assert (path.read_bytes(), found_by_the_doctor(world)) == (PDF, [])


def found_by_the_doctor(world: World) -> list[Finding]:
    return [each for found in examine(world.home, TENANT) for each in found.findings if each.check == "attachments"]


@pytest.mark.parametrize(
    ("name", "content", "error", "message"),
    [
        ("a.pdf", b"<script>", InputRejectedError, "no .pdf file"),
        ("a.png", PDF, InputRejectedError, "no .png file"),
        ("a.csv", b"a\0b", InputRejectedError, "no .csv file"),
        ("a.txt", b"\xff\xfe", InputRejectedError, "no .txt file"),
        ("a.txt", b"", InputRejectedError, "is empty"),
        ("a.txt", b"x" * (attachments.MOST_BYTES + 1), InputRejectedError, "10,485,760 are allowed"),
        ("a.html", b"x", UsageError, "cannot be attached"),
        ("a.svg", b"x", UsageError, "cannot be attached"),
        ("../a.txt", b"x", UsageError, "no slash"),
        ("a\u202e.txt", b"x", UsageError, "printable"),
        ("", b"x", UsageError, "printable"),
    ],
)
def test_what_is_no_such_file_is_not_kept(
    world: World, name: str, content: bytes, error: type[Exception], message: str
) -> None:
    before = sorted(world.paths.attachments.iterdir())
    with pytest.raises(error, match=message):
        attachments.keep(world.paths, name, content)
    assert sorted(world.paths.attachments.iterdir()) == before
