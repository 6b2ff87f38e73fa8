"""Makes CloudEvents 1.0 out of facts; where events are kept, or sent, does not belong here.

    id        derived from the type and the fact alone: the same fact never has two ids
    source    /tenants/<tenant>
    subject   what it happened to: a run, match, exception, callback or closeout id
    time      when it happened
    tenant, actor, runid    extension attributes (names of the CloudEvents specification are lower case, without signs)

Source: https://github.com/cloudevents/spec, version 1.0.2.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from zentra_pipeline.store.instants import instant_text


def event_id(event_type: str, fact: Sequence[str]) -> str:
    """The id of the event of this type that tells this fact (its natural key, tenant first)."""
    canonical = json.dumps([event_type, *fact], ensure_ascii=False, separators=(",", ":"))
    return "evt_" + hashlib.sha256(canonical.encode()).hexdigest()[:32]


def cloud_event(
    event_type: str,
    *,
    tenant: str,
    fact: Sequence[str],
    subject: str,
    run_id: str,
    actor: str,
    at: datetime,
    data: Mapping[str, Any],
) -> dict[str, Any]:
    """A CloudEvent; `fact` is the natural key within the tenant, amounts in `data` are integers of minor units."""
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
        "runid": run_id,
        "data": dict(data),
    }
