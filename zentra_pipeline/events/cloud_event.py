"""Makes CloudEvents 1.0 out of facts; where events are kept, or sent, does not belong here.

    id        derived from the type and the fact alone: the same fact never has two ids
    source    /tenants/<tenant>
    subject   what it happened to: a run, match, exception, callback or closeout id
    time      when it happened
    tenant, actor, runid    extension attributes (names of the CloudEvents specification are lower case, without signs)

Source: https://github.com/cloudevents/spec, version 1.0.2.
"""

import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from zentra_pipeline.instants import instant_text


def event_id(event_type: str, fact: Sequence[str]) -> str:
    """The id of the event of this type for this fact (its natural key, tenant first).

    What is hashed is one netstring a part, `<bytes>:<text>,`, which no text in a part can imitate, and which SQL
    writes alike (`event_id_sql`). Source: https://cr.yp.to/proto/netstrings.txt.
    """
    parts = [part.encode() for part in (event_type, *fact)]
    canonical = b"".join(b"%d:%b," % (len(part), part) for part in parts)
    return "evt_" + hashlib.sha256(canonical).hexdigest()[:32]


def event_id_sql(event_type: str, fact: Sequence[str]) -> str:
    """An expression of DuckDB for `event_id`; `event_type` and the parts of `fact` are expressions of text."""
    parts = " || ".join(f"strlen({part}) || ':' || {part} || ','" for part in (event_type, *fact))
    return f"'evt_' || left(sha256({parts}), 32)"


def cloud_event(
    event_type: str,
    *,
    tenant: str,
    fact: Sequence[str],
    subject: str,
    run_id: str | None,
    actor: str,
    at: datetime,
    data: Mapping[str, Any],
) -> dict[str, Any]:
    """A CloudEvent; `fact` is the natural key within the tenant, amounts in `data` are integers of minor units.

    Without `run_id` it has no attribute `runid`: it is about no run.
    """
    of_run = {} if run_id is None else {"runid": run_id}
    return {
        "specversion": "1.0",
        "id": event_id(event_type, [tenant, *fact]),
        "type": event_type,
        "source": f"/tenants/{tenant}",
        "subject": subject,
        "time": instant_text(at),
        "datacontenttype": "application/json",
        "tenant": tenant,
        "actor": actor,
        **of_run,
        "data": dict(data),
    }
