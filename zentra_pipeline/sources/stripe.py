"""Stripe's files as canonical frames: itemized balance and payout reports, and recorded webhook events.

Reports are `payout_reconciliation.itemized.*` and `balance_change_from_activity.itemized.*`
(docs.stripe.com/reports/report-types); columns may be chosen and ordered freely. A value without a zone is read as UTC:
`*_utc` columns say so, and of the others the zone the report was requested in cannot be known from the file. Does not
belong here: the meaning of one event (stripe_events), typing and quarantine.
"""

from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from pathlib import Path

import polars as pl

from zentra_pipeline import money, vocabulary
from zentra_pipeline.contracts import row_rules
from zentra_pipeline.contracts.contract import Contract
from zentra_pipeline.errors import InputRejectedError
from zentra_pipeline.sources import callback_rows, record_refusals, signatures, stripe_events
from zentra_pipeline.sources.csv_grammar import csv_frames
from zentra_pipeline.sources.deliveries import Delivery, read_deliveries
from zentra_pipeline.sources.file_refusals import refuse_other_forms, start_of
from zentra_pipeline.sources.header_refusals import Expected, check_columns, refuse_other_headers

REQUIRED = ("balance_transaction_id", "reporting_category", "currency", "gross", "fee", "net")
# The payout comes last: a row gets it later than itself, and another one when the payout fails and is sent again.
SETTLED_AT = (
    "available_on_utc",
    "available_on",
    "created_utc",
    "created",
    "automatic_payout_effective_at_utc",
    "automatic_payout_effective_at",
)

_AMOUNTS = ("gross", "fee", "net")
_EXPECTED = Expected("a Stripe itemized report", REQUIRED, f"request an itemized report with {', '.join(REQUIRED)}")
_METADATA = ("payment_metadata[", "refund_metadata[", "transfer_metadata[")
_UNUSED = (
    "card_brand card_country card_funding charge_created charge_created_utc connected_account "
    "connected_account_country connected_account_direct_charge_id connected_account_id connected_account_name "
    "customer_description customer_email customer_facing_amount customer_facing_currency customer_id customer_name "
    "description destination_payment_id dispute_reason fee_net_of_withheld_tax invoice_id invoice_number is_link "
    "order_id payment_method_type payout_reference_token payout_statement_descriptor regulatory_tag "
    "statement_descriptor subscription_id trace_id trace_id_status transfer_group withheld_tax"
)
_ADDRESSES = ("card_address", "customer_address", "customer_shipping_address", "shipping_address")
_ADDRESS_PARTS = ("city", "country", "line1", "line2", "postal_code", "state")
_DOCUMENTED = frozenset(
    (
        *REQUIRED,
        *SETTLED_AT,
        *("source_id", "charge_id", "payment_intent_id", "automatic_payout_id"),
        *_UNUSED.split(),
        *(f"{address}_{part}" for address in _ADDRESSES for part in _ADDRESS_PARTS),
    )
)
COLUMN_NAMES = {
    "line_id": "balance_transaction_id",
    "line_type": "reporting_category",
    "provider_reference": "source_id",
    "merchant_reference": "payment_metadata or payment_intent_id",
    "original_reference": "charge_id",
    "gross_minor": "gross",
    "fee_minor": "fee",
    "net_minor": "net",
    "batch_id": "automatic_payout_id",
    "trace_id": "trace_id",
    "presentment_minor": "customer_facing_amount",
    "presentment_currency": "customer_facing_currency",
}
"""Settlement field → the report's column it is read from."""
_OF_ITS_CHARGE = ("partial_capture_reversal", "charge_failure")
_WITH_ORIGINAL = ("refund", "chargeback", "chargeback_reversal")
_REFUSED = ("refusal", "source_row")
_SHOWN = 60


class StripeReader:
    """Reads itemized reports and recorded events; see registry.Reader."""

    def read(
        self,
        path: Path,
        contract: Contract,
        *,
        name: str,
        secrets: Sequence[str],
        notes: MutableMapping[str, int] | None,
    ) -> Iterator[pl.DataFrame]:
        """Frames of a report, or of events."""
        if contract.kind == "settlement":
            return read_settlement(path, name)
        return read_callbacks(path, secrets, name, notes)

    def column_names(self, kind: str) -> Mapping[str, str]:
        """Those of a report; what an event is read from depends on its type."""
        return COLUMN_NAMES if kind == "settlement" else {}


def read_settlement(path: Path, name: str | None = None) -> Iterator[pl.DataFrame]:
    """Settlement lines of an itemized report; messages call the file `name`."""
    name = name or path.name
    start = start_of(path)
    refuse_other_forms(start, name)
    refuse_other_headers(start, name, _EXPECTED)
    marks: dict[str, str] = {}
    for frame in csv_frames(path, name):
        _check_columns([column for column in frame.columns if column != "row_number"], name)
        _check_decimal_marks(frame, marks, name)
        yield _settlement_lines(frame)


def read_callbacks(
    path: Path,
    secrets: Sequence[str] = (),
    name: str | None = None,
    notes: MutableMapping[str, int] | None = None,
) -> Iterator[pl.DataFrame]:
    """Callbacks of recorded events (shapes: `deliveries`); signatures of envelopes are verified with `secrets`.

    A bare event has no signature to verify and counts as received when it was created. Events about anything but a
    movement of money give no row; `notes` counts them by event type.
    """
    name = name or path.name
    rows: list[callback_rows.Row] = []
    has_yielded = False
    for delivery in read_deliveries(path, name):
        if delivery.body is not None and not secrets:
            raise InputRejectedError(
                f"{name}: row {delivery.row_number}: a signed delivery, but no secret is configured; set "
                "ZENTRA_CALLBACK_SECRETS__<TENANT>__<PROVIDER>"
            )
        row = _callback(delivery, secrets)
        if row is not None:
            rows.append(row)
        elif notes is not None and delivery.event is not None:
            skipped = f"{delivery.event.get('type')}: no movement of money"
            notes[skipped] = notes.get(skipped, 0) + 1
        if len(rows) == callback_rows.FRAME_ROWS:
            yield callback_rows.frame(rows)
            rows, has_yielded = [], True
    if rows or not has_yielded:
        yield callback_rows.frame(rows)


def _check_columns(columns: Sequence[str], name: str) -> None:
    check_columns(columns, name, _EXPECTED)
    if not set(SETTLED_AT) & set(columns):
        raise InputRejectedError(
            f"{name}: header: no column says when a row settled; request one of {', '.join(SETTLED_AT)}"
        )


def _check_decimal_marks(frame: pl.DataFrame, seen: MutableMapping[str, str], name: str) -> None:
    """Refuse a report whose amounts use both '.' and ','; `seen`: mark → where the report used it first."""
    for mark in (".", ","):
        has_mark = [pl.col(column).str.contains(mark, literal=True) for column in _AMOUNTS]
        if mark in seen or not frame.select(pl.any_horizontal(*has_mark).any()).item():
            continue
        row = frame.filter(pl.any_horizontal(*has_mark)).select("row_number", *_AMOUNTS).row(0, named=True)
        column = next(column for column in _AMOUNTS if mark in (row[column] or ""))
        seen[mark] = f"row {row['row_number']:,} has {column} {row[column][:_SHOWN]!r}"
    if len(seen) > 1:
        raise InputRejectedError(
            f"{name}: amounts use '.' and ',' ({' and '.join(dict.fromkeys(seen.values()))}); request the report with "
            "one decimal_separator and no thousands marks"
        )


def _settlement_lines(frame: pl.DataFrame) -> pl.DataFrame:
    """Canonical columns of one frame of report rows."""
    category, currency = pl.col("reporting_category"), pl.col("currency").str.to_uppercase()
    own_reference = pl.coalesce(_column(frame, column) for column in ("source_id", "charge_id", "payment_intent_id"))
    of_charge = pl.when(category.is_in(_OF_ITS_CHARGE)).then(_column(frame, "charge_id"))
    lines = frame.select(
        pl.col("balance_transaction_id").alias("line_id"),
        category.replace_strict(vocabulary.stripe_line_types(), default=None, return_dtype=pl.String).alias(
            "line_type"
        ),
        pl.coalesce(of_charge, own_reference, "balance_transaction_id").alias("provider_reference"),
        _merchant_reference(frame).alias("merchant_reference"),
        _column(frame, "charge_id").alias("original_reference"),
        pl.when(category == "payout_reversal").then(pl.lit("returned")).alias("status"),
        *(pl.col(amount).str.replace(",", ".", literal=True).alias(f"{amount}_minor") for amount in _AMOUNTS),
        currency.alias("currency"),
        _settled_at(frame).alias("settled_at"),
        _column(frame, "automatic_payout_id").alias("batch_id"),
        *_presentment(frame),
        _column(frame, "trace_id").alias("trace_id"),
        pl.lit(None, pl.String).alias("statement_text"),
        _undocumented(frame).alias("raw"),
        pl.col("row_number"),
        currency.replace_strict(vocabulary.currencies(), default=None, return_dtype=pl.Int64).alias("exponent"),
    )
    has_original = pl.col("line_type").is_in(_WITH_ORIGINAL) & pl.col("original_reference").ne(
        pl.col("provider_reference")
    )
    lines = lines.with_columns(
        *(_minor(f"{amount}_minor", "currency").alias(f"{amount}_minor") for amount in _AMOUNTS),
        _minor("presentment_minor", "presentment_currency").alias("presentment_minor"),
        pl.when(has_original).then(pl.col("original_reference")).alias("original_reference"),
    )
    return lines.drop("exponent").with_columns(_refusals(frame, lines))


def _minor(amount: str, currency: str) -> pl.Expr:
    """Minor units of an amount's text, as text; null where it is no exact amount of its currency.

    Stripe counts some currencies of no decimals in hundredths, and may write them so: `100.00` ISK is 100.
    """
    code = pl.col(currency)
    standard = code.replace_strict(vocabulary.currencies(), default=None, return_dtype=pl.Int64)
    written = code.replace_strict(vocabulary.written_decimals("stripe"), default=None, return_dtype=pl.Int64)
    return money.minor_units_column_as_written(pl.col(amount), written, standard)


def _presentment(frame: pl.DataFrame) -> list[pl.Expr]:
    """What the customer paid, where that is another currency than the one settled, signed like `gross`."""
    paid, currency = _column(frame, "customer_facing_amount"), _column(frame, "customer_facing_currency")
    is_other = currency.str.to_uppercase().ne(pl.col("currency").str.to_uppercase())
    size = paid.str.strip_prefix("-").str.replace(",", ".", literal=True)
    sign = pl.when(pl.col("gross").str.starts_with("-")).then(pl.lit("-")).otherwise(pl.lit(""))
    return [
        pl.when(is_other).then(sign + size).alias("presentment_minor"),
        pl.when(is_other & paid.is_not_null()).then(currency.str.to_uppercase()).alias("presentment_currency"),
    ]


def _refusals(frame: pl.DataFrame, lines: pl.DataFrame) -> list[pl.Series]:
    """`refusal`: why a row is quarantined, reasons joined; `source_row`: that row as received. Null for the others."""
    columns = frame.drop("row_number")
    no_data = record_refusals.rows_of_no_data(columns, REQUIRED, _AMOUNTS)
    if no_data is None:
        return _faults(frame, lines)
    is_data = no_data.is_null()
    rows, places = frame.filter(is_data), is_data.arg_true()
    of_data = _faults(rows, lines.filter(is_data))
    source_row = record_refusals.source_rows(columns, ~is_data)
    return [
        no_data.scatter(places, of_data[0]).alias("refusal"),
        source_row.scatter(places, of_data[1]).alias("source_row"),
    ]


def _faults(frame: pl.DataFrame, lines: pl.DataFrame) -> list[pl.Series]:
    """What is wrong with rows of data, in the words of the report's own columns, and those rows as received."""
    reasons = {
        "balance_transaction_id: blank": frame["balance_transaction_id"].is_null(),
        "reporting_category: blank": frame["reporting_category"].is_null(),
        "reporting_category: '{}' is not known": frame["reporting_category"].is_not_null()
        & lines["line_type"].is_null(),
        "currency: blank": frame["currency"].is_null(),
        "currency: '{}' is not an ISO 4217 currency": frame["currency"].is_not_null() & lines["exponent"].is_null(),
    }
    for amount in _AMOUNTS:
        reasons[f"{amount}: blank"] = frame[amount].is_null()
        is_refused = frame[amount].is_not_null() & lines[f"{amount}_minor"].is_null() & lines["exponent"].is_not_null()
        if is_refused.any():
            words = frame.select(_amount_fault(pl.col(amount))).to_series()
            for fault in words.filter(is_refused).unique().sort():
                reasons[f"{amount}: '{{}}' {fault}"] = is_refused & (words == fault)
    reasons |= _date_faults(frame, lines["settled_at"])
    if "customer_facing_amount" in frame.columns:
        reasons["customer_facing_amount: '{}' is not an exact amount of customer_facing_currency"] = (
            lines["presentment_currency"].is_not_null() & lines["presentment_minor"].is_null()
        )
    if not any(is_so.any() for is_so in reasons.values()):
        return [pl.Series(column, [None], dtype=pl.String).new_from_index(0, len(frame)) for column in _REFUSED]
    said = [
        pl.when(is_so).then(pl.format(reason, _shown(reason.partition(":")[0])) if "{}" in reason else pl.lit(reason))
        for reason, is_so in reasons.items()
    ]
    joined = pl.concat_str(said, separator="; ", ignore_nulls=True)
    refusal = pl.when(joined != "").then(joined)
    received = pl.struct(pl.exclude("row_number")).struct.json_encode()
    return frame.select(
        refusal.alias("refusal"), pl.when(joined != "").then(received).alias("source_row")
    ).get_columns()


def _shown(column: str) -> pl.Expr:
    """A value as messages show it: its first 60 characters, none of which controls a terminal."""
    text = pl.col(column).str.replace_all(row_rules.CONTROL, "\ufffd")
    return pl.when(text.str.len_chars() <= _SHOWN).then(text).otherwise(text.str.head(_SHOWN) + "…")


def _amount_fault(text: pl.Expr) -> pl.Expr:
    """Why a text is not an exact amount of its currency, in words."""
    return (
        pl.when(text.str.contains(r"\A\s|\s\z"))
        .then(pl.lit("begins or ends with a blank; write the number alone, such as 40.00"))
        .when(text.str.contains(r"\p{Sc}|[A-Z]{3}|[a-z]{3}"))
        .then(pl.lit("has letters or a currency symbol; write the number alone, such as 40.00"))
        .when(text.str.contains(r"\A\(.*\)\z"))
        .then(pl.lit("is in brackets; write a negative amount with a minus, such as -40.00"))
        .when(text.str.contains(r"\A-?[0-9]{1,3}(?:[ '\x{a0}][0-9]{3}|[.,][0-9]{3})+(?:[.,][0-9]+)?\z"))
        .then(pl.lit("has a thousands mark, or more decimals than its currency; request it without thousands marks"))
        .when(text.str.contains(r"\A-?[0-9]+[.,][0-9]+\z"))
        .then(pl.lit("is not an exact amount of its currency: it has more decimals, or is too large"))
        .otherwise(pl.lit("is not an exact amount of its currency; write a plain number such as 40.00"))
    )


def _date_faults(frame: pl.DataFrame, settled_at: pl.Series) -> dict[str, pl.Series]:
    """Rows whose date cannot be read, by what to say of them: it names the column that was read."""
    columns = [column for column in SETTLED_AT if column in frame.columns]
    found = {f"{columns[0]}: blank": settled_at.is_null()}
    is_wrong = settled_at.is_not_null() & ~settled_at.str.contains(row_rules.INSTANT)
    if is_wrong.any():
        before = pl.Series([False]).new_from_index(0, frame.height)
        for column in columns:
            is_given = frame[column].is_not_null() & ~before
            found[f"{column}: '{{}}' is not a date and time such as 2026-03-02 10:00:00"] = is_given & is_wrong
            before = before | frame[column].is_not_null()
    return found


def _merchant_reference(frame: pl.DataFrame) -> pl.Expr:
    """The only non-blank payment metadata value, else the payment intent."""
    metadata = [pl.col(column) for column in frame.columns if column.startswith(_METADATA[0])]
    intent = _column(frame, "payment_intent_id")
    if not metadata:
        return intent
    given = pl.sum_horizontal(column.is_not_null() for column in metadata)
    return pl.when(given == 1).then(pl.coalesce(metadata)).otherwise(intent)


def _settled_at(frame: pl.DataFrame) -> pl.Expr:
    """The first instant given, as ISO 8601 with Z; text of another form is left for the gate to refuse."""
    given = pl.coalesce(pl.col(column) for column in SETTLED_AT if column in frame.columns)
    day, minute = given.str.slice(0, 10), given.str.slice(11).str.strip_suffix("Z")
    return (
        pl.when(given.str.contains(r"\A[0-9]{4}-[0-9]{2}-[0-9]{2}[ T][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?Z?\z"))
        .then(day + pl.lit("T") + minute + pl.lit("Z"))
        .when(given.str.contains(r"\A[0-9]{4}-[0-9]{2}-[0-9]{2}[ T][0-9]{2}:[0-9]{2}Z?\z"))
        .then(day + pl.lit("T") + minute + pl.lit(":00Z"))
        .when(given.str.contains(r"\A[0-9]{4}-[0-9]{2}-[0-9]{2}\z"))
        .then(day + pl.lit("T00:00:00Z"))
        .otherwise(given)
    )


def _undocumented(frame: pl.DataFrame) -> pl.Expr:
    """Columns that Stripe does not document, as a JSON object: drift. Null when there are none."""
    unknown = [
        column
        for column in frame.columns
        if column not in _DOCUMENTED and column != "row_number" and not column.startswith(_METADATA)
    ]
    return pl.struct(unknown).struct.json_encode() if unknown else pl.lit(None, dtype=pl.String)


def _column(frame: pl.DataFrame, name: str) -> pl.Expr:
    return pl.col(name) if name in frame.columns else pl.lit(None, dtype=pl.String)


def _callback(delivery: Delivery, secrets: Sequence[str]) -> callback_rows.Row | None:
    """The row of one delivery; None when its event is about no movement of money."""
    row: callback_rows.Row = {"row_number": delivery.row_number}
    try:
        found = _believed(delivery, secrets)
    except ValueError as cause:
        return row | {"refusal": str(cause), "source_row": delivery.text}
    return None if found is None else {**row, **found}


def _believed(delivery: Delivery, secrets: Sequence[str]) -> dict[str, str | None] | None:
    """What a delivery says, once it can be read and its signature holds; ValueError otherwise."""
    if delivery.event is None:
        raise ValueError(delivery.refusal)
    if delivery.body is not None and not _is_signed(delivery, delivery.body, secrets):
        raise ValueError("callback signature not verified")
    found = stripe_events.callback(delivery.event)
    if found is None:
        return None
    callback_rows.check_text(found)
    received_at = delivery.received_at or found["occurred_at"]
    return found | {"received_at": received_at, "signature_verified": None if delivery.body is None else "true"}


def _is_signed(delivery: Delivery, body: bytes, secrets: Sequence[str]) -> bool:
    at = callback_rows.received(delivery.received_at)
    return signatures.verify_stripe(body, delivery.header("Stripe-Signature"), secrets, at)
