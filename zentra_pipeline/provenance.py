"""Says which code is at work, as a digest; that of the rules (dbt project) is made in reconcile."""

import hashlib
from functools import cache

from zentra_pipeline.settings import PACKAGE_ROOT


@cache
def code_digest() -> str:
    """Hex SHA-256 over the names and contents of this package's modules and SQL statements."""
    digest = hashlib.sha256()
    found = [*PACKAGE_ROOT.rglob("*.py"), *PACKAGE_ROOT.rglob("*.sql")]
    for path in sorted(found, key=lambda path: path.relative_to(PACKAGE_ROOT).as_posix()):
        name, content = path.relative_to(PACKAGE_ROOT).as_posix().encode(), path.read_bytes()
        digest.update(b"%d:%s%d:%s" % (len(name), name, len(content), content))
    return digest.hexdigest()
