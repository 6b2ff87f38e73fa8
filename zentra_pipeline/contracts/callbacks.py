"""The contract of callbacks: one delivery of a provider's event. Other tables do not belong here."""

from zentra_pipeline.contracts.contract import Contract, Field, FieldType

CONTRACT = Contract(
    kind="callbacks",
    table="callbacks",
    key=(),
    fields=(
        Field("provider_event_id"),
        Field("event_type"),
        Field("provider_reference", may_be_blank=True),
        Field("merchant_reference", may_be_blank=True),
        Field("amount_minor", FieldType.INTEGER),
        Field("currency", vocabulary="currency"),
        Field("status", vocabulary="callback_status"),
        Field("occurred_at", FieldType.INSTANT),
        Field("received_at", FieldType.INSTANT),
        Field("sequence", FieldType.INTEGER, is_required=False, may_be_blank=True),
        Field(
            "signature_verified",
            FieldType.BOOLEAN,
            is_required=False,
            may_be_blank=True,
            refused_value=("false", "callback signature not verified"),
        ),
        Field("movement_type", vocabulary="callback_movement_type", is_required=False, may_be_blank=True),
    ),
)
