"""Files of configuration where hosts share them: rows of the store, of which each host's folder has a copy.

People edit the files of one host as they do on one machine; the next command there brings the change to the store, and
every other host takes it before it reads. What both sides changed is nobody's to merge: ConfigurationError names it.
Does not belong here: what the files say (config, keys), homes of one machine, which have nothing but the files.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, Engine, delete, func, insert, select

from zentra_pipeline import durable_files, holders, locks, storage
from zentra_pipeline.errors import ConfigurationError, UnavailableError
from zentra_pipeline.instants import instant_text
from zentra_pipeline.settings import Home, TenantPaths
from zentra_pipeline.store.engine import control_store, operational_store, reading
from zentra_pipeline.store.models import configuration

_ONE_FILE: Final = ("routing", "policy", "calendar", "notices", "drops", "privacy")
OF_TENANT: Final = ("providers/*.yml", "banks/*.yml", *(f"{each}.yml" for each in _ONE_FILE))
OF_HOME: Final = ("oidc.yml", "signing.yml", "trust.json", "keys/*.pem")
_STATE: Final = ".shared.json"
_PRIVATE: Final = 0o600
_seen: Final[dict[Path, tuple[Any, ...]]] = {}


@dataclass(frozen=True)
class _Shared:
    sha256: str | None
    content: bytes | None


def sync(paths: TenantPaths) -> None:
    """Bring the tenant's files of configuration and the store's together; nothing where no host shares them."""
    if storage.of_tenant(paths).url is not None:
        _sync(operational_store(paths), paths.root, OF_TENANT)
        sync_home(Home(paths.root.parent.parent))


def sync_home(home: Home) -> None:
    """The same of the home's own: the identity provider, the pinned public keys, and the encrypted signing keys."""
    if storage.of_home(home).url is not None:
        _sync(control_store(home), home.root, OF_HOME)


def _sync(engine: Engine, folder: Path, patterns: Sequence[str]) -> None:
    if _seen.get(folder) == _signature(engine, folder, patterns):
        return
    folder.mkdir(parents=True, exist_ok=True)
    with locks.locked(folder / ".shared.lock"):
        known = _state(folder)
        here = {name: _digest(folder / name) for name in _names(folder, patterns)}
        with reading(engine) as connection:
            there = _rows(connection)
        agreed = {}
        for name in sorted({*known, *here, *there}):
            ours, theirs = here.get(name), there[name].sha256 if name in there else None
            if ours == theirs:
                pass
            elif ours == known.get(name) or (ours is None and theirs != known.get(name)):
                _take(folder / name, there.get(name))
            elif theirs == known.get(name):
                _bring(engine, folder, name, theirs)
                theirs = _digest(folder / name)
            else:
                raise ConfigurationError(
                    f"{name} was changed here and on another host since both last agreed: move {folder / name} "
                    "elsewhere, and the next command brings the other one; then make the change in that"
                )
            if theirs is not None:
                agreed[name] = theirs
        durable_files.write_durably(folder / _STATE, json.dumps(agreed, sort_keys=True).encode())
    _seen[folder] = _signature(engine, folder, patterns)


def _names(folder: Path, patterns: Sequence[str]) -> list[str]:
    return sorted(each.relative_to(folder).as_posix() for pattern in patterns for each in folder.glob(pattern))


def _signature(engine: Engine, folder: Path, patterns: Sequence[str]) -> tuple[Any, ...]:
    """What is another one after any change on either side."""
    with reading(engine) as connection:
        number = connection.execute(select(func.max(configuration.c.number))).scalar()
    states = []
    for name in _names(folder, patterns):
        found = (folder / name).stat()
        states.append((name, found.st_mtime_ns, found.st_size, found.st_ino))
    return number, *states


def _state(folder: Path) -> dict[str, str]:
    """The digests on which this host and the store last agreed."""
    try:
        found: dict[str, str] = json.loads((folder / _STATE).read_bytes())
    except FileNotFoundError:
        return {}
    return found


def _digest(file: Path) -> str | None:
    return sha256(file.read_bytes()).hexdigest() if file.is_file() else None


def _rows(connection: Connection) -> dict[str, _Shared]:
    columns = (configuration.c.name, configuration.c.sha256, configuration.c.content)
    return {row.name: _Shared(row.sha256, row.content) for row in connection.execute(select(*columns))}


def _take(file: Path, shared: _Shared | None) -> None:
    """Have the file as the store has it."""
    if shared is None or shared.content is None:
        file.unlink(missing_ok=True)
        return
    if sha256(shared.content).hexdigest() != shared.sha256:
        raise ConfigurationError(f"{file.name} in the store is not what its digest says: restore the store")
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    mode = _PRIVATE if file.suffix == ".pem" else 0o644
    durable_files.write_durably(file, shared.content, mode)


def _bring(engine: Engine, folder: Path, name: str, expected: str | None) -> None:
    """Record the file as it is here, unless another host was first."""
    content = (folder / name).read_bytes() if (folder / name).is_file() else None
    with engine.begin() as connection:
        there = _rows(connection).get(name)
        if (None if there is None else there.sha256) != expected:
            raise UnavailableError(f"{name} has just been changed by another host: do it again")
        number = 1 + (connection.execute(select(func.max(configuration.c.number))).scalar() or 0)
        connection.execute(delete(configuration).where(configuration.c.name == name))
        values = {
            "name": name,
            "number": number,
            "sha256": None if content is None else sha256(content).hexdigest(),
            "content": content,
            "changed_at": instant_text(datetime.now(UTC)),
            "changed_by": holders.shown(holders.this_process()),
        }
        connection.execute(insert(configuration).values(values))
