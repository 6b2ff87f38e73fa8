"""Route of providers' callbacks: verified on the bytes as they came, and committed to the inbox before it answers.

What a callback means, and how it becomes a row, does not belong here (sources, inbox).
"""

import hashlib
from collections.abc import Sequence
from typing import Final, Literal

from fastapi import APIRouter, Request
from fastapi.responses import PlainTextResponse, Response
from pydantic import BaseModel, Field
from starlette.types import ASGIApp, Receive, Scope, Send

from zentra_pipeline import identifiers
from zentra_pipeline.api import bodies, problems, query_string, strict_json
from zentra_pipeline.api.problems import ProblemError
from zentra_pipeline.api.security import SECURITY, deliverer
from zentra_pipeline.api.service import Service
from zentra_pipeline.api.tables import json_response
from zentra_pipeline.config.profile import callback_secrets
from zentra_pipeline.instants import instant_text
from zentra_pipeline.sources import signatures
from zentra_pipeline.sources.registry import CANONICAL
from zentra_pipeline.store.inbox import REFUSED, UNSIGNED, VERIFIED, Receipt

router = APIRouter(tags=["callbacks"])

BODY_BYTES: Final = 256 * 1024
_PATH: Final = "/callbacks/"
_ACKNOWLEDGEMENTS: Final = {"adyen": "[accepted]"}
"""`callback_format` → the answer without which its provider takes a delivery for lost."""
_FORMS: Final = ("braintree", "mollie")
"""`callback_format`s whose provider posts forms: Braintree always, Mollie its classic webhooks, which are refused."""


class Delivered(BaseModel):
    """A delivery is kept: `is_new` is false for a repeat, which changes nothing."""

    id: str = Field(description="Derived from provider and body: the same delivery has the same id.")
    is_new: bool
    verification: Literal["verified", "unsigned"]


class Shortcut:
    """Takes deliveries to their route past the framework's layers, which cost twice what a delivery does itself.

    Everything else, and what is not quite a delivery, goes the long way.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] == "POST" and scope["path"].startswith(_PATH):
            provider = scope["path"].removeprefix(_PATH)
            if provider and "/" not in provider:
                await (await _answer(Request(scope, receive), provider))(scope, receive, send)
                return
        await self._app(scope, receive, send)


async def _answer(request: Request, provider: str) -> Response:
    try:
        return await deliver(request, provider)
    except Exception as cause:  # the framework's layers, which answer errors, are behind this
        return problems.answer_to(cause)


@router.post(
    "/callbacks/{provider}",
    summary="Deliver a callback.",
    responses={
        200: {"model": Delivered},
        **problems.responses("malformed", "signature", "too-large", "media-type", "not-configured", "unavailable"),
    },
    openapi_extra={
        "security": SECURITY,
        "requestBody": {"required": True, "content": {bodies.JSON: {"schema": {"type": "object"}}}},
        "parameters": [
            {"name": name, "in": "header", "required": False, "schema": {"type": "string"}}
            for headers in signatures.SIGNATURE_HEADERS.values()
            for name in headers
        ],
    },
)
async def deliver(request: Request, provider: str) -> Response:
    """Keep a provider's delivery; it is on disk before this is answered, and in the provider's next run.

    The signature is verified by the scheme of the profile's callback_format. A delivery whose signature is not valid
    goes to quarantine and is refused. Adyen signs each item of a delivery: a delivery with one item whose signature is
    valid is answered [accepted], the others go to quarantine one by one.
    """
    serving = request.app.state.service
    assert isinstance(serving, Service)
    caller = deliverer(serving, request.headers)
    await query_string.require_once(request)
    identifiers.provider_id(provider)
    now = serving.now()
    callback_format = serving.callback_formats.of(caller.tenant, provider)
    secrets = callback_secrets(caller.tenant.name, provider)
    _require_configured(provider, callback_format, secrets)
    bodies.require_media_type(request, bodies.JSON, *([bodies.FORM] if callback_format in _FORMS else []))
    body = await bodies.read_whole(request, BODY_BYTES)
    headers = _headers(request, callback_format)
    if callback_format == CANONICAL:
        _require_object(body)
    verification = UNSIGNED
    if secrets:
        is_signed = signatures.is_signed(callback_format, body, headers, secrets, now)
        verification = VERIFIED if is_signed else REFUSED
    receipt = Receipt(
        provider=provider,
        format=callback_format,
        received_at=instant_text(now),
        sha256=hashlib.sha256(body).hexdigest(),
        headers=headers,
        body=body,
        verification=verification,
    )
    is_new = await serving.intake.of(caller.tenant).keep(receipt)
    if verification == REFUSED:
        raise ProblemError("signature", "The signature of this delivery is not valid; it is kept in quarantine.")
    if callback_format in _ACKNOWLEDGEMENTS:
        return PlainTextResponse(_ACKNOWLEDGEMENTS[callback_format])
    content = {"id": f"cbk_{receipt.sha256[:32]}", "is_new": is_new, "verification": verification}
    return json_response(content)


def _require_configured(provider: str, callback_format: str, secrets: Sequence[str]) -> None:
    """Without a secret nothing can be verified; our own callbacks may then rest on the token alone."""
    if callback_format not in signatures.SIGNATURE_HEADERS:
        raise ProblemError("not-configured", f"Callbacks of format {callback_format} are not taken over HTTP.")
    if callback_format != CANONICAL and not secrets:
        raise ProblemError("not-configured", f"There is no secret to verify callbacks of {provider} with.")


def _headers(request: Request, callback_format: str) -> dict[str, str]:
    """The headers a signature needs, by name in lower case; one that is there twice counts as none."""
    given = {name: request.headers.getlist(name) for name in signatures.SIGNATURE_HEADERS[callback_format]}
    return {name: values[0] for name, values in given.items() if len(values) == 1}


def _require_object(body: bytes) -> None:
    """A canonical callback is one object of strict JSON; what it has to say is for the gate to judge."""
    try:
        content = strict_json.parse(body)
    except strict_json.StrictJsonError as cause:
        raise ProblemError("malformed", f"The body is not strict JSON: {cause}.") from cause
    if not isinstance(content, dict):
        raise ProblemError("malformed", "The body is not a JSON object.")
