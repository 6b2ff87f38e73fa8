"""The home's signing keys: made on first use, rotated by one signing the next, handed out as `trust.json`.

Private keys lie in the home only encrypted; the passphrase comes from the environment or from a file outside the home.
Where `signing.yml` says so they are elsewhere, and the home knows their public part alone (signers).
What is signed, and how a verifier judges keys, does not belong here (seal, verify).
"""

import json
import os
import secrets
from base64 import b64decode, b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zentra_pipeline.canonical_json import canonical
from zentra_pipeline.durable_files import sync_folder, write_durably
from zentra_pipeline.errors import RefusedError, UsageError, ZentraError
from zentra_pipeline.instants import instant_of, instant_text
from zentra_pipeline.keys.dsse import pae
from zentra_pipeline.settings import Home
from zentra_pipeline.store import configuration, leases

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from zentra_pipeline.keys.signers import Signer

KEY_TYPE = "application/vnd.zentra.key+json"
PASSPHRASE_VARIABLE = "ZENTRA_KEY_PASSPHRASE"  # noqa: S105  the variable's name, not a passphrase
PASSPHRASE_FILE_VARIABLE = "ZENTRA_KEY_PASSPHRASE_FILE"  # noqa: S105
DEFAULT_OVERLAP_DAYS = 7
_PRIVATE = 0o600
_SIGNED = ("keyid", "public_key", "valid_from", "signed_by")


@dataclass(frozen=True)
class KeyRecord:
    """A public key as `trust.json` lists it; instants as text, bytes as base64.

    `valid_until` is not among what `signature` covers: it is set when the key is rotated.
    """

    keyid: str
    public_key: str
    valid_from: str
    valid_until: str | None = None
    signed_by: str | None = None
    signature: str | None = None

    def is_valid_at(self, at: datetime) -> bool:
        """Whether the key may sign at an instant; both ends belong to its time."""
        begun = instant_of(self.valid_from) <= at
        return begun and (self.valid_until is None or at <= instant_of(self.valid_until))


@dataclass(frozen=True)
class SigningKey:
    """A key that can sign; neither its text form nor its fields show the private part."""

    keyid: str
    _private: "Ed25519PrivateKey | Signer" = field(repr=False, compare=False)
    _public: bytes | None = field(default=None, repr=False, compare=False)

    def sign(self, message: bytes) -> bytes:
        """The Ed25519 signature of a message; ZentraError where whoever keeps the key gives another one."""
        signature = self._private.sign(message)
        if self._public is not None:
            _require_signed(self._public, signature, message)
        return signature


def _require_signed(public: bytes, signature: bytes, message: bytes) -> None:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    except InvalidSignature as cause:
        raise ZentraError(
            f"whoever keeps key {sha256(public).hexdigest()} gave a signature that is not its own: nothing was sealed; "
            "compare signing.yml with `zentra keys list`"
        ) from cause


def records(home: Home) -> list[KeyRecord]:
    """The home's keys, oldest first; none when there is no `trust.json` yet."""
    try:
        content = json.loads(home.trust.read_bytes())
    except FileNotFoundError:
        return []
    except ValueError as cause:
        raise ZentraError(f"{home.trust} cannot be read ({cause}): restore it from a copy handed out") from cause
    if content.get("version") != 1:
        raise ZentraError(f"{home.trust} is of version {content.get('version')!r}, and this program knows 1")
    return [KeyRecord(**record) for record in content["keys"]]


def init(home: Home, now: datetime) -> tuple[KeyRecord, bool]:
    """The key that signs now and whether it was made by this call; doing it again changes nothing."""
    with _locked(home):
        found = records(home)
        if found:
            return found[-1], False
        return _add(home, now, [], None), True


def rotate(home: Home, now: datetime, overlap_days: int = DEFAULT_OVERLAP_DAYS) -> KeyRecord:
    """Make a new key, signed by the newest one, which stays valid for some days more.

    Where `signing.yml` names a key that is kept elsewhere, it becomes the newest. UsageError when there is no key yet;
    RefusedError when the newest key begins later than `now`, or is the one that is named.
    """
    if overlap_days < 0:
        raise UsageError(f"an overlap of {overlap_days} days is not possible: give 0 or more")
    with _locked(home):
        found = records(home)
        if not found:
            raise UsageError(f"{home.root} has no key to rotate: make the first with `zentra keys init`")
        old = found[-1]
        if now < instant_of(old.valid_from):
            raise RefusedError(f"key {old.keyid} begins at {old.valid_from}, later than now: check the clock")
        ended = replace(old, valid_until=instant_text(now + timedelta(days=overlap_days)))
        return _add(home, now, [*found[:-1], ended], _open(home, old))


def signing_key(home: Home, now: datetime) -> SigningKey:
    """The newest key that is valid at `now`; makes the first key of a home that has none."""
    init(home, now)
    for record in reversed(records(home)):
        if record.is_valid_at(now):
            return _open(home, record)
    raise ZentraError(f"no key of {home.root} is valid at {instant_text(now)}: check the clock, see `zentra keys list`")


def export_trust(home: Home, target: Path) -> list[KeyRecord]:
    """Write the public keys to a file that can be handed out; UsageError when there are none."""
    found = records(home)
    if not found:
        raise UsageError(f"{home.root} has no key to hand out: make the first with `zentra keys init`")
    write_durably(target, _trust(found))
    return found


def key_rotations(home: Home) -> dict[str, Any]:
    """What a bundle says of keys that were signed by an earlier one (`key_rotations.json`)."""
    return {"version": 1, "keys": [asdict(record) for record in records(home) if record.signed_by is not None]}


def _trust(found: list[KeyRecord]) -> bytes:
    return canonical({"version": 1, "keys": [asdict(record) for record in found]})


def _add(home: Home, now: datetime, before: list[KeyRecord], by: SigningKey | None) -> KeyRecord:
    """Add the key that signs next to the list, signed by the one before it."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from zentra_pipeline.keys import signers

    elsewhere = signers.load_signing(home).next_signer()
    private = None if elsewhere is not None else Ed25519PrivateKey.generate()
    public = elsewhere.public_key() if elsewhere is not None else private.public_key().public_bytes_raw()  # type: ignore[union-attr]
    record = KeyRecord(sha256(public).hexdigest(), b64encode(public).decode(), instant_text(now))
    if any(known.keyid == record.keyid for known in before):
        raise RefusedError(
            f"key {record.keyid}, which signing.yml names, is in the list already: make another where it is kept, "
            "name it in signing.yml, and rotate again"
        )
    if by is not None:
        record = replace(record, signed_by=by.keyid)
        signed = canonical({name: value for name, value in asdict(record).items() if name in _SIGNED})
        record = replace(record, signature=b64encode(by.sign(pae(KEY_TYPE, signed))).decode())
    if private is not None:
        _keep(home, private, [*before, record])
    else:
        assert elsewhere is not None
        passphrase(home, may_make=not before)  # secrets of webhooks are encrypted with it all the same
        SigningKey(record.keyid, elsewhere, public).sign(pae(KEY_TYPE, b"a key that is to sign next"))
        write_durably(home.trust, _trust([*before, record]))
    return record


def _keep(home: Home, private: "Ed25519PrivateKey", found: list[KeyRecord]) -> None:
    """Store a new key and the list that ends with it. The list decides: a key that it does not name never counts."""
    from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat

    record = found[-1]
    encryption = BestAvailableEncryption(passphrase(home, may_make=len(found) == 1))
    pending = _pending(home, record.keyid)
    write_durably(pending, private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption), _PRIVATE)
    write_durably(home.trust, _trust(found))
    pending.rename(_pem(home, record.keyid))
    sync_folder(home.keys)
    assert _open(home, record).keyid == records(home)[-1].keyid


def _open(home: Home, record: KeyRecord) -> SigningKey:
    """Decrypt a private key, or find who keeps it elsewhere.

    RefusedError for a wrong passphrase, ZentraError for a lost or foreign file, UnavailableError where whoever keeps it
    does not answer.
    """
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    path = _pem(home, record.keyid)
    try:
        content = path.read_bytes()
    except FileNotFoundError as cause:
        from zentra_pipeline.keys import signers

        holder = signers.load_signing(home).holder_of(b64decode(record.public_key))
        if holder is not None:
            return SigningKey(record.keyid, holder, b64decode(record.public_key))
        raise ZentraError(
            f"{path} is gone, and no key of signing.yml is it: restore it from a backup, or this home can sign no more"
        ) from cause
    try:
        private = load_pem_private_key(content, passphrase(home))
    except (TypeError, ValueError) as cause:
        raise RefusedError(
            f"{path} does not open: the passphrase of ${PASSPHRASE_VARIABLE}, else of {_passphrase_file(home)}, "
            "is not the one it was made with"
        ) from cause
    public = b64decode(record.public_key)
    if not isinstance(private, Ed25519PrivateKey) or private.public_key().public_bytes_raw() != public:
        raise ZentraError(f"{path} holds another key than {home.trust} names: restore both from one backup")
    return SigningKey(record.keyid, private)


def _pem(home: Home, keyid: str) -> Path:
    return home.keys / f"{keyid}.pem"


def _pending(home: Home, keyid: str) -> Path:
    return home.keys / f"{keyid}.pending"


@contextmanager
def _locked(home: Home) -> Iterator[None]:
    """Keep other processes out, and finish or discard what one that died had begun."""
    if not home.root.is_dir():
        raise UsageError(f"there is no home at {home.root}: make it with `zentra init`, or give yours with --home")
    home.keys.mkdir(mode=0o700, exist_ok=True)
    with leases.holding_of_home(home, "keys", home.keys / "lock"):
        configuration.sync_home(home)
        listed = {record.keyid for record in records(home)}
        for pending in home.keys.glob("*.pending"):
            if pending.stem in listed:
                pending.rename(_pem(home, pending.stem))
            else:
                pending.unlink()
        if not listed and any(home.keys.glob("*.pem")):
            raise ZentraError(f"{home.trust} is gone, and {home.keys} holds keys: restore it from a copy handed out")
        yield
        configuration.sync_home(home)


def _passphrase_file(home: Home) -> Path:
    """The file outside the home that holds the passphrase; RefusedError when it would lie inside."""
    folder = Path(os.environ.get("XDG_CONFIG_HOME") or Path("~/.config").expanduser())
    path = Path(os.environ.get(PASSPHRASE_FILE_VARIABLE) or folder / "zentra" / "key-passphrase").absolute()
    if path.resolve().is_relative_to(home.root.resolve()):
        raise RefusedError(
            f"{path} lies inside the home, where a copy of the home would carry it along: "
            f"name a file elsewhere with ${PASSPHRASE_FILE_VARIABLE}"
        )
    return path


def passphrase(home: Home, may_make: bool = False) -> bytes:
    """The passphrase; with `may_make`, a file of 256 random bits is made where there is none."""
    if given := os.environ.get(PASSPHRASE_VARIABLE):
        return given.encode("utf-8", "surrogateescape")
    path = _passphrase_file(home)
    if not path.exists() and may_make:
        _make_passphrase(path)
    try:
        passphrase = path.read_bytes().strip()
    except OSError as cause:
        raise RefusedError(
            f"the passphrase file {path} cannot be read ({cause.strerror}): restore it, name it with "
            f"${PASSPHRASE_FILE_VARIABLE}, or set ${PASSPHRASE_VARIABLE}"
        ) from cause
    if not passphrase:
        raise RefusedError(f"the passphrase file {path} is empty: restore it")
    return passphrase


def _make_passphrase(path: Path) -> None:
    """Put a whole file there at once; one that another process has put there first stays."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    write_durably(temporary, secrets.token_hex(32).encode() + b"\n", _PRIVATE)
    try:
        path.hardlink_to(temporary)
    except FileExistsError:
        pass
    finally:
        temporary.unlink()
    sync_folder(path.parent)
