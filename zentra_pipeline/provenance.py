"""Says which code is at work, as a digest; the digest of the rules (dbt project) stands with them in `rules`."""

import hashlib
from functools import cache

from zentra_pipeline.settings import PACKAGE_ROOT


@cache
def code_digest() -> str:
    """Hex SHA-256 over the names and contents of this package's modules."""
    digest = hashlib.sha256()
    for path in sorted(PACKAGE_ROOT.rglob("*.py"), key=lambda path: path.relative_to(PACKAGE_ROOT).as_posix()):
        name, content = path.relative_to(PACKAGE_ROOT).as_posix().encode(), path.read_bytes()
        digest.update(b"%d:%s%d:%s" % (len(name), name, len(content), content))
    return digest.hexdigest()
