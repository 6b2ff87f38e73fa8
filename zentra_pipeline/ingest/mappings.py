"""The column mapping that a table was read with: in force, and kept beside the landed bytes so that they read the same.

Does not belong here: what a mapping says (sources.column_mapping), the profile (config).
"""

from pathlib import Path
from typing import Final

from zentra_pipeline import durable_files
from zentra_pipeline.config.profile import load_profile
from zentra_pipeline.errors import ConfigurationError, VerificationError
from zentra_pipeline.settings import TenantPaths
from zentra_pipeline.sources.column_mapping import ColumnMapping
from zentra_pipeline.sources.registry import TABULAR

READ_OTHERWISE: Final = (
    "file of the same bytes is here already, read as the profile said then; to have it read as the profile says now, "
    "add an empty line at its end and ingest it under the same id: it then restates those rows"
)
_FOLDER: Final = "mappings"
_DIGITS: Final = 24


def in_force(paths: TenantPaths, provider: str, format: str) -> ColumnMapping | None:
    """The mapping of the provider's profile, for the format that needs one; ConfigurationError when it has none."""
    if format != TABULAR:
        return None
    mapping = load_profile(paths, provider).tabular
    if mapping is None:
        raise ConfigurationError(f"{provider}.yml: settlement_format tabular needs the key tabular, a column mapping")
    return mapping


def recorded_format(mapping: ColumnMapping) -> str:
    """`tabular:` and the beginning of the mapping's digest."""
    return f"{TABULAR}:{mapping.digest()[:_DIGITS]}"


def keep(landing: Path, mapping: ColumnMapping) -> None:
    """Write a mapping below the landing zone, under the beginning of its digest."""
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


def recorded(landing: Path, format: str) -> tuple[str, ColumnMapping | None]:
    """A registered format as reader and mapping; VerificationError when the mapping is missing or altered."""
    reader, _, digest = format.partition(":")
    if not digest:
        return format, None
    path = landing / _FOLDER / f"{digest}.json"
    try:
        mapping = ColumnMapping.from_json(path.read_bytes())
        is_same = mapping.digest().startswith(digest)
    except (OSError, ValueError):
        is_same = False
    if not is_same:
        raise VerificationError(
            f"landing/{_FOLDER}/{digest}.json, the column mapping that a file was read with, is missing or altered: "
            "restore it from a backup, or ingest a file of that provider with the mapping of that time"
        )
    return reader, mapping
