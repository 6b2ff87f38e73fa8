"""The text form of instants and days in the stores; the clock and time zones of windows do not belong here."""

from datetime import UTC, datetime


def instant_text(instant: datetime) -> str:
    """An aware datetime as UTC text `YYYY-MM-DDTHH:MM:SS.ffffffZ`; texts sort as the instants do."""
    if instant.tzinfo is None:
        raise ValueError(f"instant {instant.isoformat()} has no time zone")
    return instant.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def instant_of(text: str) -> datetime:
    """The aware UTC datetime of `instant_text`'s form, or of any shorter ISO form that ends in `Z`."""
    if not text.endswith("Z"):
        raise ValueError(f"instant {text!r} does not end in Z")
    return datetime.fromisoformat(text)
