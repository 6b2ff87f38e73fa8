"""Signs deliveries by Standard Webhooks; verifying is the receiver's (sources.signatures holds the same scheme).

Source: https://github.com/standard-webhooks/standard-webhooks, spec/standard-webhooks.md.
"""

import base64
import re
import secrets
from collections.abc import Sequence
from datetime import datetime
from typing import Final

from zentra_pipeline.errors import ZentraError

PREFIX: Final = "whsec_"
_BYTES: Final = 32
# Visible ASCII without a dot: `id.timestamp.body`, which is what gets signed, has to read one way only.
_ID: Final = re.compile(r"[!-\-/-~]{1,256}", re.ASCII)


def new_secret() -> str:
    """A secret of 256 random bits as receivers are given it."""
    return PREFIX + base64.b64encode(secrets.token_bytes(_BYTES)).decode("ascii")


def headers(message_id: str, at: datetime, body: str, keys: Sequence[str]) -> dict[str, str]:
    """The three headers of a delivery, signed with each of `keys`; ZentraError for an id that cannot be signed."""
    from standardwebhooks import Webhook

    if not _ID.fullmatch(message_id):
        raise ZentraError(f"event id {message_id!r} cannot be signed: it has to be visible ASCII without a dot")
    if not keys:
        raise ZentraError("there is no secret to sign with: rotate the endpoint's")
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": " ".join(Webhook(key).sign(message_id, at, body) for key in keys),
    }
