"""Private keys that are kept outside the home: on a PKCS#11 token, behind a command, behind a service over HTTP.

    sign_with: hsm
    keys:
      hsm: {pkcs11: {module: /usr/lib/softhsm/libsofthsm2.so, token: zentra, key: closeouts-2026}}
      cloud: {command: [/usr/local/bin/kms-sign, closeouts-2025]}
      internal: {http: https://kms.example.com/keys/closeouts}

`signing.yml` of the home says so; without it, and with `sign_with: file`, keys are files of the home. A key is Ed25519
whoever keeps it, so that verifiers know no difference. Does not belong here: which key is valid when, and the list of
public keys (signing_keys).
"""

import os
import subprocess
from base64 import b64decode, b64encode
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Protocol, runtime_checkable
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from zentra_pipeline.config import strict_yaml
from zentra_pipeline.errors import ConfigurationError, UnavailableError, UsageError
from zentra_pipeline.settings import Home

FILE: Final = "file"
PIN_VARIABLE: Final = "ZENTRA_PKCS11_PIN"
PIN_FILE_VARIABLE: Final = "ZENTRA_PKCS11_PIN_FILE"
TOKEN_VARIABLE: Final = "ZENTRA_KMS_TOKEN"  # noqa: S105 - where it is, not what
_SECONDS: Final = 30.0
_MOST_BYTES: Final = 4_096
_PUBLIC_BYTES: Final = 32
_SIGNATURE_BYTES: Final = 64
_NAMES: Final = ("sign_with", "keys")


@runtime_checkable
class Signer(Protocol):
    """Whoever holds a private Ed25519 key: says which it is, and signs; errors are UnavailableError or UsageError."""

    def public_key(self) -> bytes:
        """The 32 bytes of the public key."""

    def sign(self, message: bytes) -> bytes:
        """The signature of a message, 64 bytes (RFC 8032)."""


class _Said(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")


class _Token(_Said):
    module: Annotated[str, Field(min_length=1)]
    token: Annotated[str, Field(min_length=1)]
    key: Annotated[str, Field(min_length=1)]


class _Kept(_Said):
    """Where one key is kept: one of the three."""

    pkcs11: _Token | None = None
    command: Annotated[list[str], Field(min_length=1)] | None = None
    http: str | None = None

    @field_validator("http")
    @classmethod
    def _safe_url(cls, value: str | None) -> str | None:
        if value is not None:
            parts = urlsplit(value)
            is_own = parts.scheme == "http" and parts.hostname in ("127.0.0.1", "localhost", "::1")
            if not (parts.scheme == "https" or is_own) or not parts.hostname or parts.username or parts.fragment:
                raise ValueError(f"{value!r} is no https URL")
        return value

    @model_validator(mode="after")
    def _one_place(self) -> "_Kept":
        if sum(each is not None for each in (self.pkcs11, self.command, self.http)) != 1:
            raise ValueError("name one of pkcs11, command and http")
        return self

    def signer(self) -> Signer:
        if self.pkcs11 is not None:
            return Pkcs11Signer(self.pkcs11.module, self.pkcs11.token, self.pkcs11.key)
        return CommandSigner(self.command) if self.command is not None else HttpSigner(str(self.http))


class Signing(_Said):
    """What `signing.yml` says: which key signs from the next rotation on, and where keys are kept."""

    sign_with: str = FILE
    keys: Mapping[str, _Kept] = {}

    @model_validator(mode="after")
    def _known(self) -> "Signing":
        if self.sign_with != FILE and self.sign_with not in self.keys:
            raise ValueError(f"sign_with names {self.sign_with!r}, which keys has not")
        if FILE in self.keys:
            raise ValueError("file is the name of the home's own keys: give this one another")
        return self

    def next_signer(self) -> Signer | None:
        """The key that a new entry of the list is for; null where the home makes one of its own."""
        return None if self.sign_with == FILE else self.keys[self.sign_with].signer()

    def holder_of(self, public_key: bytes) -> Signer | None:
        """Who keeps the private part of a public key; the key that signs is asked first."""
        names = sorted(self.keys, key=lambda name: (name != self.sign_with, name))
        unreached: UnavailableError | None = None
        for name in names:
            signer = self.keys[name].signer()
            try:
                if signer.public_key() == public_key:
                    return signer
            except UnavailableError as error:  # another may be the one
                unreached = error
        if unreached is not None:
            raise unreached
        return None


def load_signing(home: Home) -> Signing:
    """The home's file; ConfigurationError names the key and what is allowed."""
    path = home.root / "signing.yml"
    if not path.exists():
        return Signing()
    try:
        return Signing.model_validate(strict_yaml.read_mapping(path))
    except ValidationError as cause:
        raise ConfigurationError(f"{path.name}: {'; '.join(strict_yaml.findings(cause, _NAMES))}") from cause


class Pkcs11Signer:
    """A key on a PKCS#11 token or HSM (CKM_EDDSA), by the labels of token and key; the PIN is in the environment."""

    def __init__(self, module: str, token: str, key: str) -> None:
        self._module, self._token, self._key = module, token, key

    def public_key(self) -> bytes:
        """From the public object of the same label."""
        import pkcs11

        with self._session() as session:
            found = session.get_key(object_class=pkcs11.ObjectClass.PUBLIC_KEY, label=self._key)
            return bytes(found[pkcs11.Attribute.EC_POINT])[-_PUBLIC_BYTES:]  # a DER octet string, or bare

    def sign(self, message: bytes) -> bytes:
        """Signed in the token; the private part never leaves it."""
        import pkcs11

        with self._session() as session:
            found = session.get_key(object_class=pkcs11.ObjectClass.PRIVATE_KEY, label=self._key)
            return bytes(found.sign(message, mechanism=pkcs11.Mechanism.EDDSA))

    def _session(self) -> Any:
        return _Session(self._module, self._token, self._key)


class _Session:
    """A session of a token, whose errors say what to do."""

    def __init__(self, module: str, token: str, key: str) -> None:
        self._module, self._token, self._key = module, token, key
        self._opened: Any = None

    def __enter__(self) -> Any:
        try:
            import pkcs11
        except ImportError as cause:
            raise UsageError("keys on a token need python-pkcs11: install zentra with the extra pkcs11") from cause
        pin = _pin()
        try:
            token = pkcs11.lib(self._module).get_token(token_label=self._token)
            self._opened = token.open(user_pin=pin)
            return self._opened.__enter__()
        except (pkcs11.PinIncorrect, pkcs11.PinInvalid, pkcs11.PinLenRange) as cause:
            raise UsageError(f"token {self._token}: the PIN of ${PIN_VARIABLE} is not its own") from cause
        except Exception as cause:
            raise _unavailable(f"token {self._token} of {self._module}", cause) from cause

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: Any) -> None:
        self._opened.__exit__(kind, error, trace)
        if error is not None:
            raise _unavailable(f"key {self._key} on token {self._token}", error) from error


def _pin() -> str:
    path = os.environ.get(PIN_FILE_VARIABLE)
    pin = os.environ.get(PIN_VARIABLE) or (Path(path).read_text(encoding="utf-8").strip() if path else "")
    if not pin:
        raise UsageError(f"the token needs a PIN: set ${PIN_VARIABLE}, or name a file with ${PIN_FILE_VARIABLE}")
    return pin


class CommandSigner:
    """A key behind a program, such as one that asks a cloud's KMS.

    It is called with `public-key`, and with `sign` and the message on its standard input; it prints base64.
    """

    def __init__(self, command: list[str]) -> None:
        self._command = list(command)

    def public_key(self) -> bytes:
        """What it prints for `public-key`."""
        return self._answer("public-key", b"", _PUBLIC_BYTES)

    def sign(self, message: bytes) -> bytes:
        """What it prints for `sign`."""
        return self._answer("sign", message, _SIGNATURE_BYTES)

    def _answer(self, what: str, message: bytes, size: int) -> bytes:
        try:
            done = subprocess.run(  # noqa: S603 - whoever runs the server names the program
                [*self._command, what], input=message, capture_output=True, timeout=_SECONDS, check=True
            )
            return _of_size(done.stdout, size)
        except subprocess.CalledProcessError as cause:
            said = cause.stderr[-500:].decode("utf-8", "backslashreplace").strip()
            raise UnavailableError(f"{self._command[0]} {what} ended with {cause.returncode}: {said}") from cause
        except (OSError, ValueError, subprocess.TimeoutExpired) as cause:
            raise _unavailable(f"{self._command[0]} {what}", cause) from cause


class HttpSigner:
    """A key behind a service: GET answers `{"public_key": base64}`, POST of `{"message": base64}` `{"signature": …}`.

    The bearer token is in the environment. No redirect is followed, and no proxy of the environment used.
    """

    def __init__(self, url: str) -> None:
        self._url = url

    def public_key(self) -> bytes:
        """What it answers to GET."""
        return self._answer("GET", None, "public_key", _PUBLIC_BYTES)

    def sign(self, message: bytes) -> bytes:
        """What it answers to POST."""
        return self._answer("POST", {"message": b64encode(message).decode()}, "signature", _SIGNATURE_BYTES)

    def _answer(self, method: str, content: dict[str, str] | None, name: str, size: int) -> bytes:
        import httpx

        token = os.environ.get(TOKEN_VARIABLE)
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        try:
            with httpx.Client(timeout=_SECONDS, trust_env=False, follow_redirects=False, headers=headers) as client:
                answer = client.request(method, self._url, json=content)
            answer.raise_for_status()
            return _of_size(str(answer.json()[name]).encode(), size)
        except (httpx.HTTPError, ValueError, KeyError, TypeError) as cause:
            raise _unavailable(self._url, cause) from cause


def _of_size(text: bytes, size: int) -> bytes:
    content = b64decode(text[:_MOST_BYTES].strip(), validate=True)
    if len(content) != size:
        raise ValueError(f"it gave {len(content)} bytes, and {size} were asked for")
    return content


def _unavailable(what: str, cause: BaseException) -> UnavailableError:
    said = " ".join(str(cause).split()) or type(cause).__name__
    return UnavailableError(f"{what} does not answer as it has to ({said}): nothing was signed")
