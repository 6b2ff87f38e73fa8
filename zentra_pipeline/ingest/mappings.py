"""What a profile says of reading a file, in force, and kept beside the landed bytes so that they read the same.

That is a table's column mapping, or whatever a bank's profile says. Does not belong here: what either says (sources),
the profiles (config).
"""

from pathlib import Path
from typing import Final, TypeGuard

from zentra_pipeline import blobs, durable_files, holders
from zentra_pipeline.config.bank_profile import KIND, load_bank
from zentra_pipeline.config.profile import load_profile
from zentra_pipeline.errors import ConfigurationError, VerificationError
from zentra_pipeline.settings import TenantPaths
from zentra_pipeline.sources.bank_reading import BankReading
from zentra_pipeline.sources.column_mapping import ColumnMapping
from zentra_pipeline.sources.registry import CANONICAL, TABULAR

READ_OTHERWISE: Final = (
    "file of the same bytes is here already, read as the profile said then; to have it read as the profile says now, "
    "add an empty line at its end and ingest it under the same id: it then restates those rows"
)
_FOLDER: Final = "mappings"
_DIGITS: Final = 24


Mapping = ColumnMapping | BankReading


def format_in_force(paths: TenantPaths, owner: str, kind: str) -> str:
    """The format of a kind of file of a provider, or bank, by its profile; all of our own is canonical."""
    if kind == KIND:
        return load_bank(paths, owner).format
    if kind not in ("settlement", "callbacks"):
        return CANONICAL
    profile = load_profile(paths, owner)
    return profile.settlement_format if kind == "settlement" else profile.callback_format


def in_force(paths: TenantPaths, owner: str, kind: str, format: str) -> Mapping | None:
    """What the profile of a provider, or bank, says of reading; null where nothing has to be said.

    ConfigurationError where the format needs a column mapping and the profile has none.
    """
    if kind == KIND:
        return load_bank(paths, owner).reading
    if format != TABULAR:
        return None
    mapping = load_profile(paths, owner).tabular
    if mapping is None:
        raise ConfigurationError(f"{owner}.yml: settlement_format tabular needs the key tabular, a column mapping")
    return mapping


def is_kept(mapping: Mapping | None) -> TypeGuard[Mapping]:
    """Whether there is anything to keep, without which the bytes would read otherwise."""
    return mapping is not None and not (isinstance(mapping, BankReading) and mapping.says_nothing)


def recorded_format(format: str, mapping: Mapping | None) -> str:
    """The format as it is registered: with the beginning of the digest of what its profile says, where that is kept."""
    return f"{format}:{mapping.digest()[:_DIGITS]}" if is_kept(mapping) else format


def keep(landing: Path, mapping: Mapping | None) -> None:
    """Write what a profile says below the landing zone, under the beginning of its digest."""
    if not is_kept(mapping):
        return
    folder = landing / _FOLDER
    target = folder / f"{mapping.digest()[:_DIGITS]}.json"
    if target.is_file() and target.read_bytes() == mapping.canonical_json():
        return
    folder.mkdir(parents=True, exist_ok=True)
    arriving = target.with_suffix(".arriving")
    arriving.write_bytes(mapping.canonical_json())
    durable_files.sync_file(arriving)
    arriving.replace(target)
    durable_files.sync_folder(folder)


def share(paths: TenantPaths, mapping: Mapping | None) -> None:
    """See that what was kept is where hosts share files; its name is the beginning of its digest."""
    if is_kept(mapping):
        name = mapping.digest()[:_DIGITS]
        blobs.push_as(paths, Path("landing", _FOLDER, name), name, paths.landing / _FOLDER / f"{name}.json")


def fetch(paths: TenantPaths, format: str) -> None:
    """Bring what a registered format names here, where hosts share files; `recorded` checks it."""
    _, _, name = format.partition(":")
    file = paths.landing / _FOLDER / f"{name}.json"
    if name and blobs.are_shared(paths) and not file.is_file():
        file.parent.mkdir(parents=True, exist_ok=True)
        arriving = file.with_suffix(f".{holders.file_suffix()}")
        blobs.pull_to(paths, Path("landing", _FOLDER, name), name, arriving)
        arriving.replace(file)


def recorded(landing: Path, kind: str, format: str) -> tuple[str, Mapping | None]:
    """A registered format as reader and what its profile said; VerificationError when that is missing or altered."""
    reader, _, digest = format.partition(":")
    form = BankReading if kind == KIND else ColumnMapping
    if not digest:
        return format, None
    path = landing / _FOLDER / f"{digest}.json"
    try:
        mapping = form.from_json(path.read_bytes())
        is_same = mapping.digest().startswith(digest)
    except (OSError, ValueError):
        is_same = False
    if not is_same:
        raise VerificationError(
            f"landing/{_FOLDER}/{digest}.json, which says how a file was read, is missing or altered: "
            "restore it from a backup, or ingest a file of that sender with the profile of that time"
        )
    return reader, mapping
