"""A drop folder: where files of one kind arrive, and which names are taken. Pure.

Does not belong here: which folders a tenant has (drop_folders), looking into one (defs/ingest/file_drop), ingest.
"""

from fnmatch import fnmatchcase
from typing import Annotated, TypeVar

from pydantic import BaseModel, ConfigDict, Field, field_validator

from zentra_pipeline import identifiers

# What programs call a file that they have not finished.
_UNFINISHED = (
    *(".part", ".partial", ".filepart", ".tmp", ".temp", ".swp", ".crdownload", ".download", ".opdownload"),
    *(".inprogress", ".in_progress", ".uploading", ".writing", ".lock", "~"),
)


_Folder = TypeVar("_Folder", bound="Drop")


class Drop(BaseModel):
    """One drop folder: `url` as fsspec reads it (`/srv/drop`, `s3://bucket/folder`), `files` a pattern of names."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")

    kind: identifiers.ProviderKind = "settlement"
    url: Annotated[str, Field(min_length=1)]
    files: Annotated[str, Field(min_length=1)] = "*"

    @field_validator("files")
    @classmethod
    def _pattern_of_names(cls, value: str) -> str:
        if "/" in value:
            raise ValueError(f"{value!r} holds a '/': it is a pattern of names; a subfolder belongs to the url")
        return value

    def takes(self, name: str) -> bool:
        """Whether a file of this name is one to ingest: finished, not hidden, and as `files` says."""
        is_finished = not name.startswith((".", "~")) and not name.lower().endswith(_UNFINISHED)
        return is_finished and fnmatchcase(name, self.files)


def distinct_folders(drops: tuple[_Folder, ...]) -> tuple[_Folder, ...]:
    """The folders of a profile unchanged; ValueError where one has no certain place, or is named twice."""
    for drop in drops:
        if not (drop.url.startswith("/") or "://" in drop.url):
            raise ValueError(f"{drop.url!r} is neither a whole path (/srv/drop) nor a URL (s3://bucket/folder)")
    if len({(drop.url, drop.files) for drop in drops}) != len(drops):
        raise ValueError("names a folder and its files twice")
    return drops
