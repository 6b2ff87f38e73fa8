"""Tables of the operational store, one per tenant: from files and runs to events, callbacks, intents and webhooks.

Instants are UTC text `YYYY-MM-DDTHH:MM:SS.ffffffZ`, days `YYYY-MM-DD`. Does not belong here: queries.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from zentra_pipeline.store import digests

metadata = MetaData()

files = Table(
    "files",
    metadata,
    Column("sequence", Integer, primary_key=True, comment="order of arrival; the last wins in a restatement"),
    Column("kind", String(32), nullable=False, comment="settlement, ledger, callbacks, internal_events"),
    Column("provider", String(64), nullable=False, comment="the --provider of the command: lineage for ledger rows"),
    Column("file_id", String(128), nullable=False, comment="settlement file id, else the file's stem"),
    Column("sha256", String(64), nullable=False, comment="digest of the bytes as received, and their landing name"),
    Column("byte_size", BigInteger, nullable=False),
    Column("original_name", Text, nullable=False, comment="name as received: metadata only, never part of a path"),
    Column("format", String(32), nullable=False, comment="reader that read it: canonical, stripe, …"),
    Column("staged_path", Text, nullable=True, comment="below the tenant's folder; null when no row was accepted"),
    Column(
        "quarantine_path", Text, nullable=True, comment="below the tenant's folder; null when every row was accepted"
    ),
    Column("rows_staged", BigInteger, nullable=False),
    Column("rows_quarantined", BigInteger, nullable=False),
    Column("first_at", String(32), nullable=True, comment="earliest instant among the staged rows"),
    Column("last_at", String(32), nullable=True, comment="latest instant among the staged rows"),
    Column("unknown_columns", Text, nullable=False, comment="JSON array: provider drift"),
    Column("received_at", String(32), nullable=False),
    digests.column(),
    UniqueConstraint("kind", "provider", "file_id", "sha256", name="one_registration_per_content"),
)

file_facts = Table(
    "file_facts",
    metadata,
    Column("sequence", Integer, ForeignKey("files.sequence"), primary_key=True),
    Column("rows_read", BigInteger, nullable=False, comment="rows the reader counted; staged and quarantined together"),
    Column(
        "staged_sha256", String(64), nullable=True, comment="digest of the staged file; null when no row was accepted"
    ),
    Column("quarantine_sha256", String(64), nullable=True, comment="digest of the quarantine file"),
    Column("is_proven", Boolean, nullable=False, comment="whether the digests are of what ingest wrote"),
    Column("notes", Text, nullable=False, comment="JSON object: what the reader said of the file, and how often"),
    Column("restates", Text, nullable=False, comment="JSON array: sequences whose lines this delivery restates"),
    Column("received_by", Text, nullable=True, comment="who ingested it"),
    digests.column(),
)

tombstones = Table(
    "tombstones",
    metadata,
    Column("sequence", Integer, primary_key=True, comment="order of deletion"),
    Column(
        "sha256", String(64), nullable=False, comment="digest of the bytes that were deleted, and their landing name"
    ),
    Column("byte_size", BigInteger, nullable=False),
    Column("kind", String(32), nullable=False, comment="of their first registration"),
    Column("files", Text, nullable=False, comment="JSON array: sequences of all registrations of these bytes"),
    Column("sealed_by", Text, nullable=False, comment="JSON array: closeouts in which their rows rest"),
    Column("bodies", Integer, nullable=False, comment="deliveries in the inbox that were emptied with them"),
    Column("why", Text, nullable=False, comment="the rule, and when their time was over"),
    Column("actor", Text, nullable=False),
    Column("deleted_at", String(32), nullable=False),
    digests.column(),
)

runs = Table(
    "runs",
    metadata,
    Column("run_id", String(64), primary_key=True),
    Column("sequence", Integer, nullable=False, unique=True, comment="order of creation; earlier runs feed later ones"),
    Column("provider", String(64), nullable=False),
    Column("settlement_file", String(128), nullable=False),
    Column("ledger_window", String(10), nullable=False),
    Column("owner", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("as_of", String(32), nullable=False),
    Column("status", String(16), nullable=False),
    Column("closeout_status", String(16), nullable=False),
    Column("revision", Integer, nullable=False, comment="the published revision; 0 before the first"),
    Column("inputs_digest", String(64), nullable=True),
    Column("failure", Text, nullable=True, comment="why the last attempt failed and what to do"),
    Column("created_at", String(32), nullable=False),
    digests.column(),
    Column("is_as_of_given", Boolean, nullable=True, comment="whether somebody gave as_of; else it may move by itself"),
    Column("is_void", Boolean, nullable=True, comment="taken back: nobody reads what it published"),
    UniqueConstraint("provider", "settlement_file", "ledger_window", name="one_run_per_request"),
)

run_revisions = Table(
    "run_revisions",
    metadata,
    Column("run_id", String(64), ForeignKey("runs.run_id"), primary_key=True),
    Column("revision", Integer, primary_key=True),
    Column("fingerprint", String(64), nullable=False, comment="digest of everything the result depends on"),
    Column("inputs_digest", String(64), nullable=False),
    Column("owner", Text, nullable=False),
    Column("as_of", String(32), nullable=False),
    Column("tables", Text, nullable=False, comment="JSON: table → {path, rows, sha256}, paths relative to the tenant"),
    Column("published_at", String(32), nullable=False),
    Column(
        "manifest", Text, nullable=True, comment="JSON: everything the revision was made from, enough to make it again"
    ),
    digests.column(),
)

run_transitions = Table(
    "run_transitions",
    metadata,
    Column("sequence", Integer, primary_key=True),
    Column("run_id", String(64), ForeignKey("runs.run_id"), nullable=False),
    Column("status", String(16), nullable=False),
    Column("actor", Text, nullable=False),
    Column("at", String(32), nullable=False),
    Column("detail", Text, nullable=True),
    digests.column(),
)

decisions = Table(
    "decisions",
    metadata,
    Column("sequence", Integer, primary_key=True, comment="order of the log, which is only ever added to"),
    Column("decision_id", String(64), nullable=False, unique=True),
    Column("exception_id", String(64), nullable=True, comment="null for a decision about a closeout"),
    Column("run_id", String(64), nullable=False, comment="the run in which the decision takes effect"),
    Column("action", String(32), nullable=False),
    Column("actor", Text, nullable=False),
    Column("decided_at", String(32), nullable=False),
    Column("reason", Text, nullable=True),
    Column("policy", Text, nullable=False, comment="JSON: the rule that was applied, its digest and its outcome"),
    Column("result", String(32), nullable=False, comment="the status the decision led to"),
    Column("owner", Text, nullable=True, comment="the new owner, of an assignment"),
    Column("resolution", String(32), nullable=True, comment="the resolution proposed or given"),
    Column("details", Text, nullable=False, comment="JSON object: what else the decision names"),
    digests.column(),
    Index("decisions_of_exception", "exception_id", "sequence"),
)

closeouts = Table(
    "closeouts",
    metadata,
    Column("closeout_id", String(64), primary_key=True),
    Column("run_id", String(64), nullable=False),
    Column("revision", Integer, nullable=False, comment="1 for the first seal of a run; amendments count on"),
    Column("provider", String(64), nullable=False),
    Column("settlement_file", String(128), nullable=False),
    Column("ledger_window", String(10), nullable=False),
    Column("run_revision", Integer, nullable=False, comment="the run's revision that is closed; 0 without activity"),
    Column("status", String(16), nullable=False),
    Column("prepared_by", Text, nullable=False),
    Column("prepared_at", String(32), nullable=False),
    Column("approved_by", Text, nullable=True),
    Column("sealed_at", String(32), nullable=True),
    Column("evidence_root", String(64), nullable=False),
    Column("evidence_rows", BigInteger, nullable=False),
    Column("evidence_status", String(16), nullable=False),
    Column("chain_sequence", Integer, nullable=True, comment="place in the chain of the provider's seals, from 1"),
    Column("seal_digest", String(64), nullable=True),
    Column("previous_seal", String(64), nullable=True),
    Column("amends", String(64), nullable=True, comment="closeout_id of the predecessor"),
    Column("reason", Text, nullable=True, comment="why a closeout was amended"),
    Column("bundle", Text, nullable=True, comment="folder of the sealed bundle, relative to the tenant"),
    Column("evidence_path", Text, nullable=True, comment="the sealed evidence in the lake, relative to the tenant"),
    Column("evidence_sha256", String(64), nullable=True),
    digests.column(),
    UniqueConstraint("run_id", "revision", name="one_closeout_per_revision"),
    UniqueConstraint("provider", "chain_sequence", name="one_seal_per_place"),
)

period_closeouts = Table(
    "period_closeouts",
    metadata,
    Column("closeout_id", String(64), primary_key=True),
    Column("period", String(7), nullable=False, comment="the month, YYYY-MM"),
    Column("revision", Integer, nullable=False, comment="1 for the first sign-off of a month; later ones count on"),
    Column("status", String(16), nullable=False, comment="prepared, sealed, amended"),
    Column("prepared_by", Text, nullable=False),
    Column("prepared_at", String(32), nullable=False),
    Column("approved_by", Text, nullable=True),
    Column("sealed_at", String(32), nullable=True),
    Column("evidence_root", String(64), nullable=False, comment="RFC 6962 root over the windows that it cites"),
    Column("evidence_rows", BigInteger, nullable=False, comment="how many windows it cites"),
    Column("chain_sequence", Integer, nullable=True, unique=True, comment="place in the chain of sign-offs, from 1"),
    Column("seal_digest", String(64), nullable=True),
    Column("previous_seal", String(64), nullable=True),
    Column("amends", String(64), nullable=True, comment="closeout_id of the predecessor"),
    Column("reason", Text, nullable=True, comment="why it was signed off again"),
    Column("bundle", Text, nullable=True, comment="folder of the sealed bundle, relative to the tenant"),
    Column("content", Text, nullable=False, comment="JSON: what there was to approve"),
    digests.column(),
    UniqueConstraint("period", "revision", name="one_sign_off_per_revision"),
)

audit_log = Table(
    "audit_log",
    metadata,
    Column("sequence", BigInteger, primary_key=True, autoincrement=False, comment="order of the log, from 1"),
    Column("at", String(32), nullable=False),
    Column("kind", String(16), nullable=False, comment="begin, read, request, command, decision"),
    Column("via", String(16), nullable=False, comment="http, console, command_line, program"),
    Column("actor", Text, nullable=True),
    Column("role", String(16), nullable=True),
    Column("token_id", String(32), nullable=True),
    Column("os_user", Text, nullable=True, comment="of a command: the operating system's user"),
    Column("request_id", String(64), nullable=True),
    Column("what", Text, nullable=False, comment="method and path, command, or the action of a decision"),
    Column("status", Integer, nullable=True, comment="of a request: how it was answered"),
    Column("details", Text, nullable=False, comment="JSON object: query, options, whose role was taken"),
    Column("decision_id", String(64), nullable=True, comment="the decision that is cited"),
    Column("decision_digest", String(64), nullable=True, comment="digest of its row when it was made"),
    Column("digest", String(64), nullable=False, comment="SHA-256 of this entry and the digest before it"),
)

event_log = Table(
    "event_log",
    metadata,
    Column(
        "first_position", BigInteger, primary_key=True, autoincrement=False, comment="place of the first event, from 1"
    ),
    Column("events", BigInteger, nullable=False, comment="how many events, at places one after another"),
    Column("event_id", String(64), nullable=True, unique=True, comment="of a single event"),
    Column("event_type", String(64), nullable=True, comment="of a single event"),
    Column("run_id", String(64), nullable=True),
    Column("content", Text, nullable=True, comment="a single event as a CloudEvent in JSON"),
    Column("path", Text, nullable=True, comment="several events in a lake file, relative to the tenant"),
    Column("sha256", String(64), nullable=True, comment="of that file"),
    digests.column(),
)

leases = Table(
    "leases",
    metadata,
    Column("name", String(200), primary_key=True, comment="what is held: provider-<name>, ingest, …"),
    Column("number", BigInteger, nullable=False, comment="fencing number: one more each time that somebody takes it"),
    Column("holder", Text, nullable=True, comment="host and process; null while nobody holds it"),
    Column("taken_at", String(32), nullable=True),
    Column("renewed_at", String(32), nullable=True, comment="the holder's last sign of life"),
    Column(
        "expires_at",
        String(32),
        nullable=True,
        comment="then anybody may take it, and its holder commits no more",
    ),
)

configuration = Table(
    "configuration",
    metadata,
    Column("name", String(255), primary_key=True, comment="path of the file below the folder"),
    Column("number", BigInteger, nullable=False, comment="one more for each change of any file"),
    Column("sha256", String(64), nullable=True, comment="digest of the content; null where the file was removed"),
    Column("content", LargeBinary, nullable=True),
    Column("changed_at", String(32), nullable=False),
    Column("changed_by", Text, nullable=False, comment="host and process that brought the change"),
)

run_requests = Table(
    "run_requests",
    metadata,
    Column("run_id", String(64), ForeignKey("runs.run_id"), primary_key=True),
    Column("status", String(16), nullable=False, comment="queued, launched, done, failed"),
    Column("actor", Text, nullable=False, comment="who asked last"),
    Column("requested_at", String(32), nullable=False),
    Column("launch", Integer, nullable=False, comment="how often it was launched since it was asked for"),
    Column("launched_by", String(32), nullable=True, comment="worker or dagster"),
    Column("finished_at", String(32), nullable=True),
    Column("failure", Text, nullable=True, comment="why the last execution failed and what to do"),
    Column("asked", Integer, nullable=False, server_default="1", comment="how often; an execution answers one of them"),
    Column("reason", Text, nullable=True, comment="what must run again and why; null for a plain request"),
    Column("lease_until", String(32), nullable=True, comment="who launched it is dead unless this is renewed in time"),
    Column("trace", String(64), nullable=True, comment="the span that asked for it, as a W3C traceparent"),
    Index("run_requests_by_status", "status", "requested_at"),
)

idempotency_keys = Table(
    "idempotency_keys",
    metadata,
    Column("key", String(255), primary_key=True),
    Column("request_digest", String(64), nullable=False, comment="of the request that the key identifies"),
    Column("run_id", String(64), ForeignKey("runs.run_id"), nullable=False),
    Column("created_at", String(32), nullable=False),
)

callback_inbox = Table(
    "callback_inbox",
    metadata,
    Column("sequence", Integer, primary_key=True, autoincrement=False, comment="order of arrival"),
    Column("provider", String(64), nullable=False),
    Column("format", String(32), nullable=False, comment="callback_format of the profile when it came"),
    Column("received_at", String(32), nullable=False),
    Column("sha256", String(64), nullable=False, comment="of the body"),
    Column("headers", Text, nullable=False, comment="JSON: those that its signature needs"),
    Column("body", LargeBinary, nullable=False, comment="as received"),
    Column("verification", String(16), nullable=False, comment="verified, unsigned, refused"),
    Column("batch", String(64), nullable=True, comment="id of the landed file it goes into"),
    Column("status", String(16), nullable=False, comment="pending, assigned, ingested, set_aside"),
    digests.column(),
    UniqueConstraint("provider", "sha256", "verification", name="one_row_per_delivery"),
    Index("callback_inbox_by_status", "provider", "status", "sequence"),
)

intents = Table(
    "intents",
    metadata,
    Column("sequence", Integer, primary_key=True, autoincrement=False, comment="order of commitment"),
    Column("intent_id", String(128), nullable=False, unique=True),
    Column("provider", String(64), nullable=False),
    Column("request_digest", String(64), nullable=False, comment="of what was asked for; the same id means the same"),
    Column("content", Text, nullable=False, comment="JSON: the intent with the accounts it is posted to"),
    Column("status", String(16), nullable=False, comment="accepted, refused"),
    Column("policy", Text, nullable=False, comment="JSON: every rule that was applied and its outcome"),
    Column("submitted_by", Text, nullable=False, comment="whose token it came with"),
    Column("recorded_at", String(32), nullable=False),
    Column("batch", String(64), nullable=True, comment="id of the landed files it goes into"),
    Column("staging", String(16), nullable=False, comment="pending, assigned, ingested"),
    digests.column(),
    Index("intents_by_staging", "provider", "staging", "sequence"),
)

intent_details = Table(
    "intent_details",
    metadata,
    Column("sequence", Integer, primary_key=True, autoincrement=False, comment="order of commitment"),
    Column("intent_id", String(128), nullable=False),
    Column("content", Text, nullable=False, comment="JSON: the members that this call added"),
    Column("submitted_by", Text, nullable=False, comment="whose token it came with"),
    Column("recorded_at", String(32), nullable=False),
    digests.column(),
    Index("intent_details_by_intent", "intent_id", "sequence"),
)

webhook_endpoints = Table(
    "webhook_endpoints",
    metadata,
    Column("endpoint_id", String(64), primary_key=True),
    Column("url", Text, nullable=False),
    Column("events", Text, nullable=False, comment="JSON array of globs over event types"),
    Column("is_each_match", Boolean, nullable=False, comment="one delivery a match instead of one a run and rule"),
    Column("is_loopback_allowed", Boolean, nullable=False, comment="may stand on this machine, without TLS"),
    Column("failure_days", Integer, nullable=False, comment="days of failures only after which it is disabled"),
    Column("secret", Text, nullable=True, comment="encrypted; null once removed"),
    Column("previous_secret", Text, nullable=True, comment="encrypted; valid until previous_until"),
    Column("previous_until", String(32), nullable=True),
    Column("status", String(16), nullable=False, comment="enabled, disabled, removed"),
    Column("status_reason", Text, nullable=True, comment="why it is disabled"),
    Column("position", BigInteger, nullable=False, comment="place in the event log up to which deliveries are made"),
    Column("failing_since", String(32), nullable=True, comment="the first failure since the last success"),
    Column("held_until", String(32), nullable=True, comment="nothing is sent before, as the receiver asked"),
    Column("created_at", String(32), nullable=False),
    Column("created_by", Text, nullable=False),
)

webhook_deliveries = Table(
    "webhook_deliveries",
    metadata,
    Column("delivery_id", String(64), primary_key=True, comment="derived from endpoint and event"),
    Column("endpoint_id", String(64), ForeignKey("webhook_endpoints.endpoint_id"), nullable=False),
    Column("event_id", String(64), nullable=False, comment="webhook-id of every attempt"),
    Column("event_type", String(64), nullable=False),
    Column("position", BigInteger, nullable=False, comment="place of the event in the log; the order of sending"),
    Column("body", Text, nullable=False, comment="the CloudEvent as it is sent"),
    Column("status", String(16), nullable=False, comment="retained, retrying, resolved, dead"),
    Column("sends_due", Integer, nullable=False, comment="how often it is still to be sent: once, and once a replay"),
    Column("attempts", Integer, nullable=False),
    Column("failures", Integer, nullable=False, comment="attempts that failed since it was last retained"),
    Column("next_attempt_at", String(32), nullable=True, comment="null when nothing is to be sent"),
    Column("created_at", String(32), nullable=False),
    Column("resolved_at", String(32), nullable=True, comment="when it was last delivered"),
    UniqueConstraint("endpoint_id", "event_id", name="one_delivery_per_event"),
    Index("webhook_deliveries_due", "endpoint_id", "next_attempt_at", "position"),
    Index("webhook_deliveries_by_event", "event_id"),
)

webhook_attempts = Table(
    "webhook_attempts",
    metadata,
    Column("delivery_id", String(64), ForeignKey("webhook_deliveries.delivery_id"), primary_key=True),
    Column("number", Integer, primary_key=True, comment="from 1, over all replays"),
    Column("at", String(32), nullable=False),
    Column("status_code", Integer, nullable=True, comment="null when no answer came"),
    Column("latency_ms", Integer, nullable=False),
    Column("error", Text, nullable=True, comment="why it failed; null when it was delivered"),
    Column("response", Text, nullable=True, comment="how the answer's body begins"),
)
