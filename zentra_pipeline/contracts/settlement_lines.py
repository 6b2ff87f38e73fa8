"""The contract of settlement lines: what a provider says it settled. Other tables do not belong here."""

from zentra_pipeline.contracts.contract import Contract, Field, FieldType

CONTRACT = Contract(
    kind="settlement",
    table="settlement_lines",
    key=("provider", "line_id"),
    not_content=("batch_id", "trace_id", "statement_text"),
    fillable=("merchant_reference", "original_reference"),
    fields=(
        Field("line_id", reserved_end="#fee"),  # the fee of a line, where it is an item of its own (contract §1)
        Field("line_type", vocabulary="line_type"),
        Field("provider_reference", may_be_blank=True),
        Field("merchant_reference", may_be_blank=True),
        Field("original_reference", is_required=False, may_be_blank=True),
        Field(
            "status",
            is_required=False,
            may_be_blank=True,
            vocabulary="settlement_status",
            when_blank="settled",
        ),
        Field("gross_minor", FieldType.INTEGER),
        Field("fee_minor", FieldType.INTEGER),
        Field("net_minor", FieldType.INTEGER),
        Field("currency", vocabulary="currency"),
        Field("settled_at", FieldType.INSTANT),
        Field("batch_id", may_be_blank=True),
        Field(
            "presentment_minor",
            FieldType.INTEGER,
            is_required=False,
            may_be_blank=True,
            goes_with="presentment_currency",
        ),
        Field(
            "presentment_currency",
            is_required=False,
            may_be_blank=True,
            vocabulary="currency",
            goes_with="presentment_minor",
        ),
        Field("trace_id", is_required=False, may_be_blank=True),
        Field("statement_text", is_required=False, may_be_blank=True),
    ),
)
