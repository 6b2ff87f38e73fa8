"""Keeps webhook secrets encrypted in the store, under the passphrase of the home's signing keys (signing_keys).

AES-256-GCM with a key made of the passphrase by scrypt; the endpoint's id is bound in, so that a secret copied to
another row does not open. Does not belong here: making secrets, signing with them.
"""

import os
from base64 import b64decode, b64encode
from functools import lru_cache
from typing import Final

from zentra_pipeline.errors import RefusedError, ZentraError
from zentra_pipeline.keys import signing_keys
from zentra_pipeline.settings import Home

_VERSION: Final = "scrypt-aes256gcm"
_SALT: Final = 16
_NONCE: Final = 12


def sealed(home: Home, endpoint_id: str, secret: str) -> str:
    """The secret encrypted, as text; the home's first signing key must have been made (`keys.init`)."""
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    salt, nonce = os.urandom(_SALT), os.urandom(_NONCE)
    content = AESGCM(_key(signing_keys.passphrase(home), salt)).encrypt(nonce, secret.encode(), endpoint_id.encode())
    return ":".join([_VERSION, *(b64encode(part).decode("ascii") for part in (salt, nonce, content))])


def opened(home: Home, endpoint_id: str, text: str) -> str:
    """The secret again; RefusedError for another passphrase than it was encrypted under."""
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    version, *parts = text.split(":")
    if version != _VERSION or len(parts) != 3:
        raise ZentraError(f"the secret of {endpoint_id} is kept as {version!r}, which this program does not know")
    salt, nonce, content = (b64decode(part) for part in parts)
    try:
        return AESGCM(_key(signing_keys.passphrase(home), salt)).decrypt(nonce, content, endpoint_id.encode()).decode()
    except InvalidTag as cause:
        raise RefusedError(
            f"the secret of {endpoint_id} does not open: ${signing_keys.PASSPHRASE_VARIABLE}, or the passphrase file, "
            "is not what it was when the secret was made"
        ) from cause


@lru_cache(maxsize=256)
def _key(passphrase: bytes, salt: bytes) -> bytes:
    """A passphrase may be weak, so trying many of them has to be slow: 50 ms and 16 MB each."""
    from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

    return Scrypt(salt=salt, length=32, n=2**14, r=8, p=1).derive(passphrase)
