"""The drop folders of a tenant: those that profiles of providers and banks name, and those of an older `drops.yml`.

Does not belong here: what a drop folder is (drops), looking into one (defs/ingest/file_drop).
"""

from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter, ValidationError, field_validator

from zentra_pipeline import identifiers
from zentra_pipeline.config import strict_yaml
from zentra_pipeline.config.bank_profile import bank_names, load_bank
from zentra_pipeline.config.drops import Drop
from zentra_pipeline.config.profile import load_profile
from zentra_pipeline.errors import ConfigurationError, UsageError, ZentraError
from zentra_pipeline.settings import TenantPaths

FILE_NAME = "drops.yml"


class _ListedDrop(Drop):
    """An entry of `drops.yml`, which says itself whose files they are."""

    provider: str
    kind: identifiers.ProviderKind

    @field_validator("provider")
    @classmethod
    def _named_provider(cls, value: str) -> str:
        try:
            return identifiers.provider_id(value)
        except UsageError as cause:
            raise ValueError(str(cause)) from cause


_LIST: TypeAdapter[list[_ListedDrop]] = TypeAdapter(list[_ListedDrop])


@dataclass(frozen=True)
class DropFolder:
    """A drop folder and the provider, or bank, whose files arrive there."""

    provider: str
    drop: Drop


def drop_folders(paths: TenantPaths) -> tuple[list[DropFolder], list[str]]:
    """The tenant's drop folders, each once, and what is wrong with the files that name them; one stops no other."""
    found: list[DropFolder] = []
    faults: list[str] = []
    for file in sorted(paths.providers.glob("*.yml")):
        try:
            found += [DropFolder(file.stem, drop) for drop in load_profile(paths, file.stem).drops]
        except ZentraError as cause:
            faults.append(str(cause))
    for bank in bank_names(paths):
        try:
            found += [DropFolder(bank, drop) for drop in load_bank(paths, bank).drops]
        except ZentraError as cause:
            faults.append(str(cause))
    try:
        found += listed_folders(paths)
    except ZentraError as cause:
        faults.append(str(cause))
    return list(dict.fromkeys(found)), faults


def listed_folders(paths: TenantPaths) -> list[DropFolder]:
    """The folders of `drops.yml`, none without a file. ConfigurationError names file, entry and key."""
    path = paths.root / FILE_NAME
    if not path.exists():
        return []
    content: dict[str, Any] = dict(strict_yaml.read_mapping(path))
    if content.keys() != {"drops"}:
        raise ConfigurationError(f"{FILE_NAME}: one key `drops` with a list of folders is expected")
    try:
        listed = _LIST.validate_python(content["drops"])
    except ValidationError as cause:
        found = "; ".join(f"{'.'.join(str(part) for part in error['loc'])}: {error['msg']}" for error in cause.errors())
        raise ConfigurationError(f"{FILE_NAME}: {found}") from cause
    return [DropFolder(each.provider, Drop(kind=each.kind, url=each.url, files=each.files)) for each in listed]
