"""Tables of the operational store, one per tenant: files let in, runs, their revisions and state changes.

Instants are UTC text `YYYY-MM-DDTHH:MM:SS.ffffffZ`, days `YYYY-MM-DD`. Does not belong here: queries.
"""

from sqlalchemy import BigInteger, Column, ForeignKey, Integer, MetaData, String, Table, Text, UniqueConstraint

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
    Column("staged_path", Text, nullable=True, comment="below the tenant's folder; null when no row got in"),
    Column("quarantine_path", Text, nullable=True, comment="below the tenant's folder; null when every row got in"),
    Column("rows_staged", BigInteger, nullable=False),
    Column("rows_quarantined", BigInteger, nullable=False),
    Column("first_at", String(32), nullable=True, comment="earliest instant among the staged rows"),
    Column("last_at", String(32), nullable=True, comment="latest instant among the staged rows"),
    Column("unknown_columns", Text, nullable=False, comment="JSON array: provider drift"),
    Column("received_at", String(32), nullable=False),
    UniqueConstraint("kind", "provider", "file_id", "sha256", name="one_registration_per_content"),
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
)
