"""The contract of internal events: a stage an intent went through. Other tables do not belong here."""

from zentra_pipeline.contracts.contract import Contract, Field, FieldType

CONTRACT = Contract(
    kind="internal_events",
    table="internal_events",
    key=("event_id",),
    fields=(
        Field("event_id"),
        Field("intent_id", may_be_blank=True),
        Field("stage", vocabulary="stage"),
        Field("actor", may_be_blank=True),
        Field("scope", may_be_blank=True),
        Field("policy", may_be_blank=True),
        Field("policy_result", may_be_blank=True),
        Field("occurred_at", FieldType.INSTANT),
        Field("transaction_id", may_be_blank=True),
    ),
)
