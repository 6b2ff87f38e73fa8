"""A digest and an escalation say what a lane has open or overdue, in Slack's and Teams' own form and as a mail."""

import json
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from tests.scenarios.rows import MON, settle
from tests.scenarios.world import TENANT, World
from zentra_pipeline import cli
from zentra_pipeline.config.notices import Receiver, load_notices, parse_notices
from zentra_pipeline.errors import ConfigurationError
from zentra_pipeline.webhooks import notices

SETTINGS = """\
console: https://zentra.example.com/console
mail_from: zentra@example.com
lanes:
  settlement_breaks: [{slack: ZENTRA_SLACK_TEST}, {mail: [finance@example.com]}]
  "*": [{teams: ZENTRA_TEAMS_TEST}]
"""
LATER = datetime(2026, 5, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Two lines that nobody posted, one under a reference that a chat would take for a mention and a link."""
    made = World(tmp_path_factory.mktemp("notices"), {"expects_callbacks": False})
    made.add(settle("L1", "<!channel> <https://evil.test|pay>", 48_200), settle("L2", "R2", 1_000, "EUR"))
    made.make(MON)
    (made.paths.root / "notices.yml").write_text(SETTINGS, encoding="utf-8")
    return made


def test_a_digest_counts_and_lists_a_lane(world: World) -> None:
    sent = notices.of_tenant(world.tenant, notices.DIGEST, LATER)
    assert [notices.name_of(receiver) for _, receiver in sent] == [
        "slack by ZENTRA_SLACK_TEST",
        "mail to finance@example.com",
    ]
    lines = sent[0][0].text.splitlines()
    assert [*lines[:6], *sorted(lines[6:8]), *lines[8:]] == [
        "acme, settlement breaks: 2 exceptions open",
        "",
        "0 proposals to be approved",
        "2 overdue",
        "1 exception, 10.00 EUR",
        "1 exception, 482.00 USD",
        "• unmatched provider row <!channel> <https://evil.test|pay> 482.00 USD, finance_ops, due 2026-04-22",
        "• unmatched provider row R2 10.00 EUR, finance_ops, due 2026-04-22",
        "",
        "https://zentra.example.com/console/exceptions?lane=settlement_breaks",
    ]


def test_an_escalation_is_of_what_is_overdue_and_of_nothing_else(world: World) -> None:
    early = datetime(2026, 4, 21, 12, tzinfo=UTC)
    assert notices.of_tenant(world.tenant, notices.ESCALATION, early) == []
    (notice, _), *_ = notices.of_tenant(world.tenant, notices.ESCALATION, LATER)
    assert notice.title == "acme, settlement breaks: 2 exceptions overdue"
    assert notice.link == "https://zentra.example.com/console/exceptions?lane=settlement_breaks&overdue=yes"


def test_what_a_provider_wrote_is_text_in_a_chat(world: World) -> None:
    (notice, slack), *_ = notices.of_tenant(world.tenant, notices.DIGEST, LATER)
    said = json.dumps(notices.body_of(notice, slack))
    assert "<!channel>" not in said
    assert "&lt;!channel&gt; &lt;https://evil.test|pay&gt;" in said
    card = notices.body_of(notice, Receiver(teams="ZENTRA_TEAMS_TEST"))
    assert card["attachments"][0]["content"]["actions"][0]["url"] == notice.link
    mail = notices.mail_of(notice, Receiver(mail=("a@example.com",)), "zentra@example.com")
    assert mail["Subject"] == notice.title
    assert mail.get_content_type() == "text/plain"


def test_notices_arrive_and_one_that_does_not_stops_no_other(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    where = ["--tenant", TENANT, "--home", str(world.home.root)]
    with chat() as (url, posted), mail_server() as (smtp, mails):
        monkeypatch.setenv("ZENTRA_SLACK_TEST", url)
        monkeypatch.setenv("ZENTRA_SMTP_URL", smtp)
        assert cli.invoke(["notices", "send", "digest", "--allow-loopback", "--json", *where]) == 0
        sent = json.loads(capsys.readouterr().out)["items"]
        assert [(each["lane"], each["failure"]) for each in sent] == [("settlement_breaks", None)] * 2
        assert posted[0]["blocks"][0]["text"]["text"].startswith("acme, settlement breaks: 2 exceptions open")
        assert "To: finance@example.com" in mails[0]
        monkeypatch.setenv("ZENTRA_SLACK_TEST", f"{url}/refuse")
        assert cli.invoke(["notices", "send", "digest", "--allow-loopback", "--json", *where]) == 75
        sent = json.loads(capsys.readouterr().out)["items"]
        assert [each["failure"] for each in sent] == ["ZENTRA_SLACK_TEST: it answered 410", None]
        monkeypatch.delenv("ZENTRA_SLACK_TEST")
        assert cli.invoke(["notices", "send", "digest", "--json", *where]) == 75
        assert "ZENTRA_SLACK_TEST is not set" in capsys.readouterr().out
        assert url not in capsys.readouterr().out
    assert cli.invoke(["notices", "show", "digest", *where]) == 0
    assert "482.00 USD" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"lanes": {"a": [{"slack": "https://hooks.slack.com/services/x"}]}}, "lanes.a.0.slack"),
        ({"lanes": {"a": [{"mail": ["x"]}]}, "mail_from": "a@example.com"}, "lanes.a.0.mail"),
        ({"lanes": {"a": [{"mail": ["a@example.com"]}]}}, "mail_from is needed"),
        ({"lanes": {"a": [{"slack": "ZENTRA_A", "teams": "ZENTRA_B"}]}}, "name one of"),
        ({"mail_from": "a@example.com\nBcc: b@example.com"}, "mail_from"),
        ({"channels": {}}, "channels"),
    ],
)
def test_a_file_that_says_something_else_is_refused(content: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        parse_notices(content, "notices.yml")


def test_without_a_file_nobody_is_told(world: World) -> None:
    settings = load_notices(world.paths)
    assert settings.receivers("bank_breaks")[0].teams == "ZENTRA_TEAMS_TEST"
    assert parse_notices({}, "notices.yml").receivers("bank_breaks") == ()


@contextmanager
def chat() -> Iterator[tuple[str, list[Any]]]:
    """A chat that takes JSON, and refuses it below /refuse."""
    posted: list[Any] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            refuses = self.path.endswith("/refuse")
            if not refuses:
                posted.append(json.loads(body))
            self.send_response(410 if refuses else 200)
            self.end_headers()

        def log_message(self, *_arguments: Any) -> None:
            """Says nothing."""

    with served(HTTPServer(("127.0.0.1", 0), Handler)) as port:
        yield f"http://127.0.0.1:{port}/hook", posted


@contextmanager
def mail_server() -> Iterator[tuple[str, list[str]]]:
    """A mail server that takes everything."""
    mails: list[str] = []

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            self.wfile.write(b"220 here\r\n")
            for line in self.rfile:
                word = line.split()[0].upper()
                if word == b"DATA":
                    self.wfile.write(b"354 go on\r\n")
                    lines = iter(self.rfile.readline, b".\r\n")
                    mails.append(b"".join(lines).decode())
                self.wfile.write(b"221 bye\r\n" if word == b"QUIT" else b"250 ok\r\n")

    with served(socketserver.TCPServer(("127.0.0.1", 0), Handler)) as port:
        yield f"smtp://127.0.0.1:{port}", mails


@contextmanager
def served(server: socketserver.TCPServer) -> Iterator[int]:
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.mark.parametrize(
    ("chat", "mail_server"),
    [
        ("http://hooks.example.com/services/SECRET", "smtps://zentra:pa/SECRET@mail.example.com"),
        ("https://10.0.0.1/SECRET", "smtp://zentra:SECRET@127.0.0.1:odd"),
        ("https://hooks.example.com:99/SECRET", "smtp://zentra:SECRET#1@127.0.0.1"),
    ],
)
def test_a_failure_says_no_secret_and_stops_no_other_receiver(
    world: World, monkeypatch: pytest.MonkeyPatch, chat: str, mail_server: str
) -> None:
    monkeypatch.setenv("ZENTRA_SLACK_TEST", chat)
    monkeypatch.setenv(notices.SMTP_VARIABLE, mail_server)
    failures = [each.failure or "" for each in notices.send(world.tenant, notices.DIGEST, LATER)]
    assert len(failures) == 2 and all(failures)
    assert "SECRET" not in "".join(failures) and "'pa'" not in failures[1]


def test_a_lane_of_two_lines_makes_no_header_of_a_mail() -> None:
    notice = notices.Notice(notices.DIGEST, "a", "acme, a\nBcc: someone@example.com", ["x"], None)
    mail = notices.mail_of(notice, Receiver(mail=("finance@example.com",)), "zentra@example.com")
    assert (mail["Bcc"], mail["Subject"]) == (None, "acme, a\\nBcc: someone@example.com")
