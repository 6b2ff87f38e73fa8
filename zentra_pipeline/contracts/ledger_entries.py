"""The contract of ledger entries: one side of a posting. Other tables do not belong here."""

from zentra_pipeline.contracts.contract import Contract, Field, FieldType

CONTRACT = Contract(
    kind="ledger",
    table="ledger_entries",
    key=("transaction_id", "entry_id"),
    fields=(
        Field("provider"),
        Field("entry_id"),
        Field("transaction_id"),
        Field("movement_type", vocabulary="movement_type"),
        Field("account"),
        Field("direction", vocabulary="direction"),
        Field("amount_minor", FieldType.INTEGER, is_positive=True),
        Field("currency", vocabulary="currency"),
        Field("posted_at", FieldType.INSTANT),
        Field("provider_reference", may_be_blank=True),
        Field("intent_id", may_be_blank=True),
    ),
)
