"""A tenant's drop folders (`drops.yml`): where files of which provider and kind arrive. Pure but for reading that file.

Does not belong here: looking into a folder (defs/ingest/file_drop), ingest.
"""

from fnmatch import fnmatchcase
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, field_validator

from zentra_pipeline import identifiers
from zentra_pipeline.config import strict_yaml
from zentra_pipeline.errors import ConfigurationError, UsageError
from zentra_pipeline.settings import TenantPaths

FILE_NAME = "drops.yml"
# What programs call a file that they have not finished.
_UNFINISHED = (".part", ".partial", ".tmp", ".filepart", ".crdownload", "~")


class Drop(BaseModel):
    """One drop folder: `url` as fsspec reads it (`/srv/drop`, `s3://bucket/folder`), `files` a pattern of names."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")

    provider: str
    kind: identifiers.FileKind
    url: Annotated[str, Field(min_length=1)]
    files: Annotated[str, Field(min_length=1)] = "*"

    @field_validator("provider")
    @classmethod
    def _named_provider(cls, value: str) -> str:
        try:
            return identifiers.provider_id(value)
        except UsageError as cause:
            raise ValueError(str(cause)) from cause

    def takes(self, name: str) -> bool:
        """Whether a file of this name is one to ingest: finished, not hidden, and as `files` says."""
        is_finished = not name.startswith(".") and not name.lower().endswith(_UNFINISHED)
        return is_finished and fnmatchcase(name, self.files)


_DROPS: TypeAdapter[list[Drop]] = TypeAdapter(list[Drop])


def load_drops(paths: TenantPaths) -> list[Drop]:
    """The tenant's drop folders, none without a file. ConfigurationError names file, entry and key."""
    path = paths.root / FILE_NAME
    if not path.exists():
        return []
    content: dict[str, Any] = dict(strict_yaml.read_mapping(path))
    if content.keys() != {"drops"}:
        raise ConfigurationError(f"{FILE_NAME}: one key `drops` with a list of folders is expected")
    try:
        return _DROPS.validate_python(content["drops"])
    except ValidationError as cause:
        found = "; ".join(f"{'.'.join(str(part) for part in error['loc'])}: {error['msg']}" for error in cause.errors())
        raise ConfigurationError(f"{FILE_NAME}: {found}") from cause
