"""Makes seals: canonical bytes, the signed envelope and a bundle put in place durably.

What a bundle's files and its payload say belongs to whoever closes; checking them belongs to `verify`.
"""

import hashlib
from base64 import b64encode
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zentra_pipeline import canonical_json, durable_files
from zentra_pipeline.durable_files import sync_folder
from zentra_pipeline.keys import dsse

if TYPE_CHECKING:
    from zentra_pipeline.keys.signing_keys import SigningKey

PAYLOAD_TYPE = "application/vnd.zentra.closeout+json"
SEAL_FILE = "seal.json"
_BLOCK = 1024 * 1024
_MAX_INTEGER = 2**53 - 1


def seal_digest(payload: bytes) -> str:
    """Hex SHA-256 of a payload's bytes, by which the next seal and an amendment name this one."""
    return hashlib.sha256(payload).hexdigest()


def envelope(payload: bytes, *keys: "SigningKey") -> bytes:
    """The DSSE envelope of a payload, signed by every key given, as canonical bytes."""
    message = dsse.pae(PAYLOAD_TYPE, payload)
    signatures = [{"keyid": key.keyid, "sig": b64encode(key.sign(message)).decode()} for key in keys]
    return canonical_json.canonical(
        {"payloadType": PAYLOAD_TYPE, "payload": b64encode(payload).decode(), "signatures": signatures},
    )


def describe_files(bundle: Path) -> dict[str, dict[str, Any]]:
    """SHA-256 and size of every file in `bundle/files`, as the payload lists them under `files/<name>`."""
    described = {}
    for path in sorted((bundle / "files").iterdir()):
        digest, size = hashlib.sha256(), 0
        with path.open("rb") as stream:
            while block := stream.read(_BLOCK):
                digest.update(block)
                size += len(block)
        described[f"files/{path.name}"] = {"sha256": digest.hexdigest(), "size": size}
    return described


def seal_bundle(bundle: Path, payload: Mapping[str, Any], key: "SigningKey") -> str:
    """Write `seal.json` over the payload with `files` as they lie in the bundle; returns the seal's digest."""
    sealed = canonical_json.canonical({**payload, "files": describe_files(bundle)})
    durable_files.write_durably(bundle / SEAL_FILE, envelope(sealed, key))
    return seal_digest(sealed)


def put_in_place(temporary: Path, bundle: Path) -> None:
    """Give a finished bundle its lasting name after every byte of it is on disk; never over one that is there.

    OSError when `bundle` exists and is not empty: what is sealed stays.
    """
    for folder in (temporary, temporary / "files"):
        for path in folder.iterdir():
            if path.is_file():
                durable_files.sync_file(path)
        sync_folder(folder)
    bundle.parent.mkdir(parents=True, exist_ok=True)
    temporary.rename(bundle)
    sync_folder(bundle.parent)
    sync_folder(bundle.parent.parent)
