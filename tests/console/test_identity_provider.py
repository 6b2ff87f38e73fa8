"""Signing in through an identity provider: whoever it vouches for is the token that the home says, and nobody else."""

import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.console.conftest import NOW
from tests.console.visitor import Page, Visitor
from zentra_pipeline.console.app import create_app
from zentra_pipeline.settings import Home
from zentra_pipeline.tenants import access, identity_provider, tenancy

pytest.importorskip("authlib", reason="make setup installs authlib")
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from joserfc import jwt
from joserfc.jwk import ECKey

CALLBACK = "/console/sign-in/provider/callback"


@dataclass
class Provider:
    """A provider that gives everybody the code `code`; `changes` are claims that differ from what is right."""

    key: Any = field(default_factory=lambda: ECKey.generate_key("P-256", {"kid": "one"}))
    signs: Any = None
    changes: dict[str, Any] = field(default_factory=dict)
    header: dict[str, str] = field(default_factory=dict)
    asked: dict[str, str] = field(default_factory=dict)
    url: str = ""

    def description(self) -> dict[str, str]:
        paths = {"authorization_endpoint": "auth", "token_endpoint": "token", "jwks_uri": "keys"}
        return {"issuer": self.url, **{name: f"{self.url}/{path}" for name, path in paths.items()}}

    def answer(self, path: str, form: dict[str, str]) -> tuple[int, Any]:
        if path == "/.well-known/openid-configuration":
            return 200, self.description()
        if path == "/keys":
            return 200, {"keys": [self.key.as_dict(private=False)]}
        challenge = create_s256_code_challenge(form.get("code_verifier", ""))
        if path != "/token" or form.get("code") != "code" or challenge != self.asked["code_challenge"]:
            return 400, {"error": "invalid_grant"}
        now = int(NOW.timestamp())
        claims = {
            "iss": self.url,
            "aud": "zentra",
            "sub": "1",
            "email": "dora@example.com",
            "email_verified": True,
            "nonce": self.asked["nonce"],
            "iat": now,
            "exp": now + 300,
        }
        kept = {name: value for name, value in (claims | self.changes).items() if value is not None}
        header = {"alg": "ES256", "kid": "one"} | self.header
        return 200, {"id_token": jwt.encode(header, kept, self.signs or self.key), "token_type": "Bearer"}


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    made = Provider()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._say(*made.answer(self.path, {}))

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"])).decode()
            self._say(*made.answer(self.path, {name: values[0] for name, values in parse_qs(body).items()}))

        def _say(self, status: int, content: Any) -> None:
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.end_headers()
            self.wfile.write(json.dumps(content).encode())

        def log_message(self, *_arguments: Any) -> None:
            """Says nothing."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    made.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield made
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture(scope="module")
def home(provider: Provider, tmp_path_factory: pytest.TempPathFactory) -> Home:
    made = Home.at(tmp_path_factory.mktemp("oidc") / "home")
    tenancy.init_home(made)
    tenancy.add_tenant(made, "acme", NOW)
    _, token = access.create_token(made, tenant="acme", actor="dora", role="approver", now=NOW)
    _, ended = access.create_token(made, tenant="acme", actor="eve", role="approver", now=NOW)
    access.revoke_token(made, ended.token_id, NOW)
    people = {"dora@example.com": token.token_id, "eve@example.com": ended.token_id}
    settings = {"issuer": provider.url, "client_id": "zentra", "claim": "email", "people": people}
    settings["redirect"] = f"http://localhost{CALLBACK}"
    (made.root / "oidc.yml").write_text(json.dumps(settings), encoding="utf-8")
    return made


@pytest.fixture
def visitor(home: Home, provider: Provider) -> Iterator[Visitor]:
    provider.changes, provider.header, provider.signs = {}, {}, None
    app = create_app(home, now=lambda: NOW)
    yield Visitor(app)
    app.state.service.intake.close()
    app.state.service.audit.close()


def leave(visitor: Visitor, provider: Provider, wanted: str = "/console/exceptions") -> dict[str, str]:
    """Go to the provider: what it is asked."""
    answer = visitor.client.get(f"/console/sign-in/provider?next={wanted}", follow_redirects=False)
    assert answer.status_code == 303, answer.text
    assert answer.headers["location"].startswith(f"{provider.url}/auth?")
    provider.asked = {name: values[0] for name, values in parse_qs(urlsplit(answer.headers["location"]).query).items()}
    return provider.asked


def come_back(visitor: Visitor, provider: Provider, code: str = "code", state: str | None = None) -> Page:
    return visitor.open(f"{CALLBACK}?code={code}&state={state or provider.asked['state']}")


def test_whom_the_provider_vouches_for_is_signed_in_as_their_token(visitor: Visitor, provider: Provider) -> None:
    assert "Sign in with 127.0.0.1" in visitor.open("/console/sign-in").text
    asked = leave(visitor, provider)
    assert (asked["response_type"], asked["code_challenge_method"], asked["scope"]) == ("code", "S256", "openid email")
    page = come_back(visitor, provider)
    assert (page.status, page.path) == (200, "/console/exceptions")
    assert "dora approver · acme" in page.text
    assert come_back(visitor, provider).status == 403, "an attempt counts once"


def test_where_somebody_wanted_to_go_is_a_page_of_the_console(visitor: Visitor, provider: Provider) -> None:
    leave(visitor, provider, "https://evil.test/console")
    assert come_back(visitor, provider).path == "/console/approvals"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"nonce": "another"}, "does not hold"),
        ({"nonce": None}, "does not hold"),
        ({"aud": "somebody_else"}, "does not hold"),
        ({"aud": ["zentra", "somebody_else"], "azp": "zentra"}, "for others too"),
        ({"iss": "https://evil.test"}, "does not hold"),
        ({"exp": int(time.mktime((2020, 1, 1, 0, 0, 0, 0, 0, 0)))}, "does not hold"),
        ({"email_verified": False}, "vouches for no email"),
        ({"email": ["dora@example.com"]}, "vouches for no email"),
        ({"email": "Dora@example.com"}, "nobody here is known"),
        ({"email": "<b>mallory</b>@example.com"}, "nobody here is known"),
        ({"email": "eve@example.com"}, "has ended"),
    ],
)
def test_nobody_else_is_signed_in(visitor: Visitor, provider: Provider, changes: dict[str, Any], said: str) -> None:
    leave(visitor, provider)
    provider.changes = changes
    page = come_back(visitor, provider)
    assert (page.status, said in page.text) == (403, True), page.text
    assert "zentra_session" not in visitor.client.cookies


def test_another_key_another_code_and_another_browser_sign_nobody_in(
    visitor: Visitor, home: Home, provider: Provider
) -> None:
    leave(visitor, provider)
    assert come_back(visitor, provider, state="guessed").status == 403
    leave(visitor, provider)
    assert come_back(visitor, provider, code="stolen").status == 403
    leave(visitor, provider)
    stranger = Visitor(visitor.app)
    assert come_back(stranger, provider).status == 403
    provider.signs = ECKey.generate_key("P-256", {"kid": "one"})
    assert come_back(visitor, provider).status == 403
    assert "zentra_session" not in {*visitor.client.cookies, *stranger.client.cookies}


def test_a_provider_that_is_not_configured_or_calls_itself_otherwise_is_none(
    visitor: Visitor, home: Home, provider: Provider, tmp_path: Path
) -> None:
    settings = json.loads((home.root / "oidc.yml").read_text(encoding="utf-8"))
    other = Home.at(tmp_path)
    assert identity_provider.load_provider(other) is None
    for wrong in (
        {"issuer": "http://login.example.com"},
        {"redirect": "javascript:1"},
        {"claim": "name"},
        {"secret": "x"},
    ):
        other.root.mkdir(exist_ok=True)
        (other.root / "oidc.yml").write_text(json.dumps(settings | wrong), encoding="utf-8")
        with pytest.raises(Exception, match=next(iter(wrong))):
            identity_provider.load_provider(other)
    before, provider.url = provider.url, "https://evil.test"
    answer = visitor.client.get("/console/sign-in/provider", follow_redirects=False)
    provider.url = before
    assert answer.status_code == 503


def test_a_file_that_cannot_be_read_leaves_signing_in_by_token(tmp_path: Path) -> None:
    home = Home.at(tmp_path)
    tenancy.init_home(home)
    tenancy.add_tenant(home, "acme", NOW)
    secret, _ = access.create_token(home, tenant="acme", actor="dora", role="approver", now=NOW)
    (home.root / "oidc.yml").write_text("issuer: nowhere\n", encoding="utf-8")
    visitor = Visitor(create_app(home, now=lambda: NOW))
    page = visitor.open("/console/sign-in")
    assert "The identity provider cannot be used: oidc.yml" in page.text
    visitor.sign_in(secret)
    assert "Sign out" in visitor.open("/console/exceptions").text
