"""Signing in through an identity provider (OpenID Connect, authorization code with PKCE), where `oidc.yml` names one.

    issuer: https://login.example.com
    client_id: zentra
    redirect: https://zentra.example.com/console/sign-in/provider/callback
    claim: email
    people:
      dora@example.com: tok_1a2b3c

The provider says who somebody is; which API token that is, and with it tenant, actor and role, the home says. Does not
belong here: sessions, pages. Sources: OpenID Connect Core 1.0, RFC 7636, RFC 9700.
"""

import os
import secrets
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Final
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from zentra_pipeline.config import strict_yaml
from zentra_pipeline.errors import ConfigurationError, RefusedError, UnavailableError
from zentra_pipeline.settings import Home

SECRET_VARIABLE: Final = "ZENTRA_OIDC_CLIENT_SECRET"  # noqa: S105 - where it is, not what
_ALGORITHMS: Final = ("RS256", "PS256", "ES256", "EdDSA")
_SECONDS: Final = 10.0
_LEEWAY: Final = 60
_MOST_BYTES: Final = 256 * 1024
_BYTES: Final = 32
_OWN: Final = ("127.0.0.1", "localhost", "::1")


def _checked(url: str) -> str:
    parts = urlsplit(url)
    is_own = parts.scheme == "http" and parts.hostname in _OWN
    if not (parts.scheme == "https" or is_own) or not parts.hostname or parts.fragment or parts.username:
        raise ValueError(f"{url!r} is no https URL")
    return url


class Provider(BaseModel):
    """What `oidc.yml` says: `people` maps the claim's values to ids of API tokens (`zentra token list`)."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")

    issuer: str
    client_id: Annotated[str, Field(min_length=1, max_length=256)]
    redirect: str
    claim: Annotated[str, Field(pattern=r"^(email|sub|preferred_username)$")] = "sub"
    people: dict[str, str] = {}

    @field_validator("issuer", "redirect")
    @classmethod
    def _urls(cls, value: str) -> str:
        return _checked(value)

    @property
    def name(self) -> str:
        """What the page to sign in on calls it."""
        return urlsplit(self.issuer).hostname or self.issuer


@dataclass(frozen=True)
class Attempt:
    """One way through: what the browser keeps until it comes back, and nobody else knows."""

    state: str
    nonce: str
    verifier: str


def load_provider(home: Home) -> Provider | None:
    """The home's identity provider, null where none is configured. ConfigurationError names file and key."""
    path = home.root / "oidc.yml"
    if not path.exists():
        return None
    try:
        return Provider.model_validate(dict(strict_yaml.read_mapping(path)))
    except ValidationError as cause:
        found = "; ".join(strict_yaml.findings(cause, tuple(Provider.model_fields)))
        raise ConfigurationError(f"{path.name}: {found}") from cause


def begin(provider: Provider) -> tuple[Attempt, str]:
    """A new attempt, and the provider's page to send the browser to. UnavailableError where it does not answer."""
    from authlib.oauth2.rfc6749.parameters import prepare_grant_uri
    from authlib.oauth2.rfc7636 import create_s256_code_challenge

    known = _described(provider)
    attempt = Attempt(*(secrets.token_urlsafe(_BYTES) for _ in range(3)))
    page = prepare_grant_uri(
        known["authorization_endpoint"],
        provider.client_id,
        "code",
        redirect_uri=provider.redirect,
        scope="openid email" if provider.claim == "email" else "openid profile",
        state=attempt.state,
        nonce=attempt.nonce,
        code_challenge=create_s256_code_challenge(attempt.verifier),
        code_challenge_method="S256",
    )
    return attempt, str(page)


def token_of(provider: Provider, attempt: Attempt, code: str, now: datetime) -> str:
    """The id of the API token of whoever came back with a code.

    RefusedError where the provider does not vouch for them, or nobody here is known by what it says.
    """
    known = _described(provider)
    answer = _asked(
        "POST",
        known["token_endpoint"],
        data={
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": provider.redirect,
            "client_id": provider.client_id,
            "code_verifier": attempt.verifier,
        },
        secret=(provider.client_id, os.environ.get(SECRET_VARIABLE, "")),
    )
    claims = _claims(provider, known, str(answer.get("id_token", "")), attempt.nonce, now)
    value = claims.get(provider.claim)
    if not isinstance(value, str) or (provider.claim == "email" and claims.get("email_verified") is not True):
        raise RefusedError(f"{provider.name} vouches for no {provider.claim} of yours")
    token_id = provider.people.get(value)
    if token_id is None:
        raise RefusedError(
            f"{provider.name} knows you as {value[:200]!r}, and nobody here is known by that: whoever runs the server "
            "adds it to people of oidc.yml"
        )
    return token_id


def _claims(provider: Provider, known: Mapping[str, Any], id_token: str, nonce: str, now: datetime) -> dict[str, Any]:
    """The claims of an ID token that is the provider's, of this attempt, for us and in time."""
    from authlib.oauth2.claims import ClaimsOption
    from authlib.oidc.core import CodeIDToken
    from joserfc import jwt
    from joserfc.errors import JoseError
    from joserfc.jwk import KeySet

    keys: Any = _asked("GET", known["jwks_uri"])
    options: dict[str, ClaimsOption] = {
        "iss": {"essential": True, "value": provider.issuer},
        "aud": {"essential": True, "value": provider.client_id},
        "sub": {"essential": True},
    }
    try:
        token = jwt.decode(id_token, KeySet.import_key_set(keys), algorithms=list(_ALGORITHMS))
        claims = CodeIDToken(token.claims, token.header, options, {"nonce": nonce, "client_id": provider.client_id})
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            claims.validate(now=int(now.timestamp()), leeway=_LEEWAY)
    except (JoseError, ValueError, TypeError, KeyError) as cause:
        raise RefusedError(f"the ID token of {provider.name} does not hold: {cause}") from cause
    except Exception as cause:
        raise RefusedError(f"the ID token of {provider.name} does not hold: {type(cause).__name__}") from cause
    audience = token.claims.get("aud")
    if token.claims.get("nonce") != nonce or (isinstance(audience, list) and audience != [provider.client_id]):
        raise RefusedError(f"the ID token of {provider.name} is of another attempt, or for others too")
    return dict(token.claims)


def _described(provider: Provider) -> dict[str, Any]:
    """What the provider says of itself; it has to be the one that is configured."""
    known = _asked("GET", f"{provider.issuer.rstrip('/')}/.well-known/openid-configuration")
    try:
        for name in ("authorization_endpoint", "token_endpoint", "jwks_uri"):
            _checked(str(known.get(name)))
    except ValueError as cause:
        raise UnavailableError(f"{provider.name} describes itself wrongly: {cause}") from cause
    if known.get("issuer") != provider.issuer:
        raise UnavailableError(f"{provider.name} calls itself {str(known.get('issuer'))[:200]!r}: correct oidc.yml")
    return known


def _asked(
    method: str, url: str, *, data: Mapping[str, str] | None = None, secret: tuple[str, str] | None = None
) -> dict[str, Any]:
    """The JSON object that the provider answers; no redirect is followed."""
    import httpx

    try:
        with httpx.Client(timeout=_SECONDS, follow_redirects=False, trust_env=False) as client:
            answer = client.request(method, url, data=data, auth=secret if secret and secret[1] else None)
            content = answer.json() if len(answer.content) <= _MOST_BYTES else None
    except (httpx.HTTPError, ValueError) as cause:
        raise UnavailableError(f"the identity provider does not answer: {type(cause).__name__}") from cause
    if method == "POST" and 400 <= answer.status_code < 500:
        raise RefusedError("the identity provider does not take the code: sign in again")
    if answer.status_code != 200 or not isinstance(content, dict):
        raise UnavailableError(f"the identity provider answers {answer.status_code}")
    return content
