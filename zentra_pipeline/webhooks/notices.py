"""Digests and escalations: what each lane has open, or overdue, as a message for a chat or a mailbox, and its sending.

A notice is made of what is published at one moment and changes nothing. Does not belong here: who is told
(config.notices), giving an overdue exception to somebody else (review.escalation).
"""

import json
import os
import smtplib
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from email.message import EmailMessage
from typing import Any, Final
from urllib.parse import unquote, urlencode, urlsplit

from zentra_pipeline import money
from zentra_pipeline.config.notices import Notices, Receiver, load_notices
from zentra_pipeline.errors import UnavailableError, UsageError, ZentraError
from zentra_pipeline.published import lake
from zentra_pipeline.review.clocks import IS_OVERDUE, TIMED, Clocks
from zentra_pipeline.tenants.tenant import Tenant
from zentra_pipeline.webhooks import targets, transport

DIGEST: Final = "digest"
ESCALATION: Final = "escalation"
SMTP_VARIABLE: Final = "ZENTRA_SMTP_URL"
_MOST_LISTED: Final = 10
_SMTP_SECONDS: Final = 15.0


@dataclass(frozen=True)
class Notice:
    """What is said of a lane: a title, a line each, and where the console shows it."""

    kind: str
    lane: str
    title: str
    lines: Sequence[str]
    link: str | None

    @property
    def text(self) -> str:
        """The notice as plain text."""
        return "\n".join([self.title, "", *self.lines, *([] if self.link is None else ["", self.link])])


@dataclass(frozen=True)
class Sent:
    """What became of a notice at one receiver: `failure` is null where it arrived."""

    notice: Notice
    receiver: str
    failure: str | None


def of_tenant(tenant: Tenant, kind: str, now: datetime) -> list[tuple[Notice, Receiver]]:
    """Every notice with each of its receivers; a lane with nothing to say, or nobody to be told, has none."""
    settings = load_notices(tenant.paths)
    clocks = Clocks(tenant.paths, now)
    found = []
    for lane in _lanes(tenant):
        receivers = settings.receivers(lane)
        notice = _notice(tenant, settings, clocks, kind, lane) if receivers else None
        found += [(notice, receiver) for receiver in receivers] if notice is not None else []
    return found


def send(tenant: Tenant, kind: str, now: datetime, *, is_loopback_allowed: bool = False) -> list[Sent]:
    """Send every notice of a kind; a receiver that fails stops no other."""
    sender = load_notices(tenant.paths).mail_from
    sent = []
    for notice, receiver in of_tenant(tenant, kind, now):
        failure = None
        try:
            _deliver(notice, receiver, sender, is_loopback_allowed)
        except ZentraError as error:
            failure = str(error)
        sent.append(Sent(notice, name_of(receiver), failure))
    return sent


def try_to_send(tenant: Tenant, kind: str, now: datetime) -> tuple[list[Sent], str | None]:
    """Send them, or say why none could be: what is wrong with one tenant's file is nothing to the others."""
    try:
        return send(tenant, kind, now), None
    except ZentraError as error:
        return [], str(error)


def name_of(receiver: Receiver) -> str:
    """What a receiver is called where its address is nobody's business."""
    if receiver.mail is not None:
        return f"mail to {', '.join(receiver.mail)}"
    return f"slack by {receiver.slack}" if receiver.slack else f"teams by {receiver.teams}"


def body_of(notice: Notice, receiver: Receiver) -> dict[str, Any]:
    """The body that the chat takes: Slack's blocks, or an Adaptive Card for Teams; every text is plain text."""
    if receiver.slack:
        text = "\n".join(map(_slack_text, notice.lines)) or "–"
        blocks: list[dict[str, Any]] = [
            {"type": "header", "text": {"type": "plain_text", "text": notice.title[:150], "emoji": False}},
            {"type": "section", "text": {"type": "mrkdwn", "text": text[:3_000], "verbatim": True}},
        ]
        if notice.link is not None:
            button = {"type": "plain_text", "text": "Open the console", "emoji": False}
            blocks.append({"type": "actions", "elements": [{"type": "button", "text": button, "url": notice.link}]})
        return {"text": _slack_text(notice.title), "blocks": blocks}
    card: dict[str, Any] = {
        "type": "AdaptiveCard",
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "version": "1.4",
        "body": [
            {"type": "TextBlock", "text": _plain(notice.title), "weight": "Bolder", "size": "Medium", "wrap": True},
            *({"type": "TextBlock", "text": _plain(line), "wrap": True, "spacing": "Small"} for line in notice.lines),
        ],
    }
    if notice.link is not None:
        card["actions"] = [{"type": "Action.OpenUrl", "title": "Open the console", "url": notice.link}]
    content = {"contentType": "application/vnd.microsoft.card.adaptive", "content": card}
    return {"type": "message", "attachments": [content]}


def mail_of(notice: Notice, receiver: Receiver, sender: str) -> EmailMessage:
    """The notice as a mail of plain text."""
    mail = EmailMessage()
    mail["Subject"], mail["From"], mail["To"] = _plain(notice.title), sender, ", ".join(receiver.mail or ())
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content(notice.text + "\n")
    return mail


def _lanes(tenant: Tenant) -> list[str]:
    found = lake.query(tenant.paths, "SELECT DISTINCT lane FROM exceptions WHERE status <> 'resolved' ORDER BY lane")
    return [row[0] for row in found.rows if row[0]]


def _notice(tenant: Tenant, settings: Notices, clocks: Clocks, kind: str, lane: str) -> Notice | None:
    conditions: dict[str, Any] = {"status <> ?": "resolved", "lane = ?": lane}
    if kind == ESCALATION:
        conditions |= {IS_OVERDUE: clocks.instant}
    rows = _rows(tenant, conditions)
    if not rows:
        return None
    overdue = [row for row in rows if clocks.seen(dict(row)).is_overdue]
    words = "overdue" if kind == ESCALATION else "open"
    title = f"{tenant.name}, {_said(lane)}: {_counted(len(rows), 'exception')} {words}"
    lines = [f"{_counted(sum(row['status'] == 'pending_approval' for row in rows), 'proposal')} to be approved"]
    if kind == DIGEST:
        lines.append(f"{len(overdue):,} overdue")
    lines += [f"{_counted(count, 'exception')}, {amount}" for count, amount in _sums(rows)]
    shown = (overdue or rows)[:_MOST_LISTED]
    lines += [f"• {_line(row, clocks)}" for row in shown]
    left = len(overdue or rows) - len(shown)
    lines += [f"and {left:,} more"] if left else []
    query = urlencode({"lane": lane, **({"overdue": "yes"} if kind == ESCALATION else {})})
    link = None if settings.console is None else f"{settings.console.rstrip('/')}/exceptions?{query}"
    return Notice(kind, lane, title, lines, link)


def _rows(tenant: Tenant, conditions: Mapping[str, Any]) -> list[dict[str, Any]]:
    found = lake.query(
        tenant.paths,
        f"SELECT * FROM {TIMED} WHERE {' AND '.join(conditions)} ORDER BY due_at NULLS LAST, exception_id",
        list(conditions.values()),
    )
    return [dict(zip(found.columns, row, strict=True)) for row in found.rows]


def _sums(rows: Sequence[Mapping[str, Any]]) -> list[tuple[int, str]]:
    """Counts and sums of what is at stake by currency; sizes, so that none hides another."""
    sums: dict[str, tuple[int, int]] = {}
    for row in rows:
        at_stake = row["amount_minor"] if row["difference_minor"] is None else row["difference_minor"]
        if row["currency"] and at_stake is not None:
            count, total = sums.get(row["currency"], (0, 0))
            sums[row["currency"]] = (count + 1, total + abs(at_stake))
    return [(count, money.amount_text(total, currency)) for currency, (count, total) in sorted(sums.items())]


def _line(row: Mapping[str, Any], clocks: Clocks) -> str:
    at_stake = row["amount_minor"] if row["difference_minor"] is None else row["difference_minor"]
    amount = f" {money.amount_text(at_stake, row['currency'])}" if row["currency"] and at_stake is not None else ""
    reference = _plain(str(row["provider_reference"] or row["subject_id"]))[:80]
    due = "" if row["due_at"] is None else f", due {clocks.due_day(row['run_provider'], row['due_at'])}"
    return f"{_said(row['exception_type'])} {reference}{amount}, {_plain(str(row['owner']))[:80]}{due}"


def _deliver(notice: Notice, receiver: Receiver, sender: str | None, is_loopback_allowed: bool) -> None:
    if receiver.mail is not None:
        _mail(mail_of(notice, receiver, sender or ""))
        return
    variable = receiver.slack or receiver.teams or ""
    url = os.environ.get(variable)
    if not url:
        raise UsageError(f"{variable} is not set: it holds the webhook's URL")
    try:
        target = targets.target_of(url, is_loopback_allowed=is_loopback_allowed)
    except UsageError as cause:
        raise UsageError(str(cause).replace(repr(url[:200]), f"of {variable}")) from None  # the URL is a secret
    body = json.dumps(body_of(notice, receiver), ensure_ascii=False).encode()
    try:
        answer = transport.post(target, targets.resolve(target), {"content-type": "application/json"}, body)
    except transport.NoAnswerError as cause:
        raise UnavailableError(f"{variable}: {cause}") from cause
    if not 200 <= answer.status_code < 300:
        raise UnavailableError(f"{variable}: it answered {answer.status_code}")


def _mail(mail: EmailMessage) -> None:
    """Hand a mail to the server of ZENTRA_SMTP_URL: `smtps://user:password@host`, or `smtp://…` with STARTTLS."""
    try:
        url = urlsplit(os.environ.get(SMTP_VARIABLE, ""))
        port = url.port
    except ValueError:
        raise _no_mail_server("no URL (write odd characters of a password as %XX)") from None  # it holds a password
    if url.scheme not in ("smtp", "smtps") or not url.hostname:
        raise _no_mail_server("not set")
    is_own = url.hostname in ("127.0.0.1", "localhost", "::1")
    context = ssl.create_default_context()
    try:
        server: smtplib.SMTP
        if url.scheme == "smtps":
            server = smtplib.SMTP_SSL(url.hostname, port or 465, timeout=_SMTP_SECONDS, context=context)
        else:
            server = smtplib.SMTP(url.hostname, port or 587, timeout=_SMTP_SECONDS)
        with server:
            if url.scheme == "smtp" and not is_own:
                server.starttls(context=context)
            if url.username:
                server.login(unquote(url.username), unquote(url.password or ""))
            server.send_message(mail)
    except (OSError, smtplib.SMTPException, ValueError) as cause:
        raise UnavailableError(f"the mail server {url.hostname} does not take the mail: {cause}") from cause


def _no_mail_server(why: str) -> UsageError:
    return UsageError(f"{SMTP_VARIABLE} is {why}: it names the mail server, as smtps://user:password@host:465")


def _slack_text(text: str) -> str:
    """Text that Slack shows as it is: its three marks escaped, nothing in it a mention or a link."""
    return _plain(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _plain(text: str) -> str:
    """One line of what can be seen."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _said(word: str | None) -> str:
    return "no lane" if word is None else word.replace("_", " ")


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
