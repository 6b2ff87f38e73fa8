"""Makes seals: canonical bytes, the signed envelope and a bundle put in place durably.

What a bundle's files and its payload say belongs to whoever closes; checking them belongs to `verify`.
"""

import hashlib
import json
import os
from base64 import b64encode
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zentra_pipeline.ingest.landing import sync_folder

if TYPE_CHECKING:
    from zentra_pipeline.keys.signing_keys import SigningKey

PAYLOAD_TYPE = "application/vnd.zentra.closeout+json"
SEAL_FILE = "seal.json"
_BLOCK = 1024 * 1024
_MAX_INTEGER = 2**53 - 1


def canonical(value: object) -> bytes:
    """RFC 8785 bytes of a value; TypeError for floats, ValueError for what has no exact canonical form."""
    import rfc8785

    _refuse_inexact(value)
    return rfc8785.dumps(value)  # type: ignore[arg-type]


def canonical_lines(rows: Iterable[Mapping[str, Any]]) -> Iterator[bytes]:
    """RFC 8785 bytes of each row and a line end; like `canonical`, and several times faster.

    For keys of plain ASCII the standard encoder makes the same bytes; other keys would sort differently.
    """
    encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode
    for row in rows:
        if _refuse_inexact(row):
            yield encode(row).encode() + b"\n"
        else:
            yield canonical(row) + b"\n"


def pae(payload_type: str, payload: bytes) -> bytes:
    """DSSE's pre-authentication encoding: what a signature covers."""
    kind = payload_type.encode()
    return b" ".join([b"DSSEv1", str(len(kind)).encode(), kind, str(len(payload)).encode(), payload])


def seal_digest(payload: bytes) -> str:
    """Hex SHA-256 of a payload's bytes, by which the next seal and an amendment name this one."""
    return hashlib.sha256(payload).hexdigest()


def envelope(payload: bytes, *keys: "SigningKey") -> bytes:
    """The DSSE envelope of a payload, signed by every key given, as canonical bytes."""
    message = pae(PAYLOAD_TYPE, payload)
    signatures = [{"keyid": key.keyid, "sig": b64encode(key.sign(message)).decode()} for key in keys]
    return canonical(
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
    sealed = canonical({**payload, "files": describe_files(bundle)})
    write_durably(bundle / SEAL_FILE, envelope(sealed, key))
    return seal_digest(sealed)


def write_durably(path: Path, content: bytes, mode: int = 0o644) -> None:
    """Write a whole file under a temporary name, then give it its own: readers see all of it or none of it."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
    temporary.replace(path)
    sync_folder(path.parent)


def put_in_place(temporary: Path, bundle: Path) -> None:
    """Give a finished bundle its lasting name after every byte of it is on disk; never over one that is there.

    OSError when `bundle` exists and is not empty: what is sealed stays.
    """
    for folder in (temporary, temporary / "files"):
        for path in folder.iterdir():
            if path.is_file():
                with path.open("rb") as stream:
                    os.fsync(stream.fileno())
        sync_folder(folder)
    bundle.parent.mkdir(parents=True, exist_ok=True)
    temporary.rename(bundle)
    sync_folder(bundle.parent)
    sync_folder(bundle.parent.parent)


def _refuse_inexact(value: object) -> bool:
    """Refuse floats and integers beyond 2^53; says whether all keys are plain ASCII."""
    if isinstance(value, Mapping):
        plain = True
        for key, member in value.items():
            if not isinstance(key, str):
                raise TypeError(f"key {key!r} must be a string")
            plain = _refuse_inexact(member) and key.isascii() and plain
        return plain
    if isinstance(value, list | tuple):
        plain_elements = [_refuse_inexact(element) for element in value]
        return all(plain_elements)
    if isinstance(value, float):
        raise TypeError(f"{value!r} is a float; amounts are decimal text, counts are integers")
    if type(value) is int and abs(value) > _MAX_INTEGER:
        raise ValueError(f"{value} is beyond 2^53; write it as decimal text")
    return True
