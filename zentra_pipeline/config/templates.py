"""Profiles of known providers to start from: one YAML file a provider, in the folder beside this module.

Does not belong here: reading a profile (profile), writing it into a tenant's folder (tenants).
"""

from pathlib import Path
from typing import Final

from zentra_pipeline import identifiers
from zentra_pipeline.config.profile import starter_profile
from zentra_pipeline.errors import UsageError

STARTER: Final = "canonical"
_FOLDER: Final = Path(__file__).with_suffix("")


def names() -> tuple[str, ...]:
    """Every template that `profile_text` knows, the one with all defaults first."""
    return (STARTER, *sorted(path.stem for path in _FOLDER.glob("*.yml")))


def profile_text(template: str, provider: str) -> str:
    """A provider's profile as a template has it, as commented YAML; UsageError when there is no such template."""
    if template not in names():
        raise UsageError(f"there is no template {template!r}: use one of {', '.join(names())}")
    if template == STARTER:
        return starter_profile(provider)
    text = (_FOLDER / f"{template}.yml").read_text(encoding="utf-8")
    return text.format(provider=identifiers.provider_id(provider))
