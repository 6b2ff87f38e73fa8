"""The RFC 6962 tree hash over evidence rows; what a row holds, and the verifier's own root, do not belong here."""

from collections.abc import Iterable
from hashlib import sha256

HASH_SIZE = 32


def leaf_hash(line: bytes) -> bytes:
    """Hash of one evidence row, its line without the line's end (RFC 6962 §2.1)."""
    return sha256(b"\x00" + line).digest()


def root(leaf_hashes: Iterable[bytes] | bytes) -> str:
    """Hex root over leaf hashes in order: an iterable of them, or one buffer of 32 bytes each.

    Level by level: a node left over at the end of a level moves up as it is, which is the split at the largest power of
    two. ValueError when a hash has not 32 bytes.
    """
    level = _split(leaf_hashes) if isinstance(leaf_hashes, bytes) else list(leaf_hashes)
    if any(len(leaf) != HASH_SIZE for leaf in level):
        raise ValueError(f"a leaf hash is not {HASH_SIZE} bytes long")
    if not level:
        return sha256(b"").hexdigest()
    while len(level) > 1:
        left_over = level[-1:] if len(level) % 2 else []
        level = [
            sha256(b"\x01" + left + right).digest() for left, right in zip(level[::2], level[1::2], strict=False)
        ] + left_over
    return level[0].hex()


def _split(buffer: bytes) -> list[bytes]:
    return [buffer[start : start + HASH_SIZE] for start in range(0, len(buffer), HASH_SIZE)]
