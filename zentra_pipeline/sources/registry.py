"""Which reader reads which format; adding a format is adding its line here. Reading does not belong here.

Formats are known without importing their readers: profiles are checked against them, and a reader imports much.
"""

from collections.abc import Callable, Iterator, Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from zentra_pipeline.errors import UsageError
from zentra_pipeline.identifiers import PROVIDER_KINDS

if TYPE_CHECKING:
    import polars as pl

    from zentra_pipeline.contracts.contract import Contract
    from zentra_pipeline.sources.bank_reading import BankReading
    from zentra_pipeline.sources.statement import Statement

CANONICAL = "canonical"
TABULAR = "tabular"


class Reader(Protocol):
    """Reads the files of one format: a file in, frames of canonical rows out, each row with its place in the file."""

    def read(
        self,
        path: Path,
        contract: "Contract",
        *,
        name: str,
        secrets: Sequence[str],
        notes: MutableMapping[str, int] | None,
    ) -> Iterator["pl.DataFrame"]:
        """Frames of text: the contract's columns, `raw`, `row_number`, `refusal` and `source_row`.

        `name` is the file's name as received, `secrets` may have signed callbacks, `notes` counts what the file holds
        beside rows, by description. A row that cannot be read carries its `refusal`; InputRejectedError is for a file
        that is broken, or that its header or first bytes show to be of another kind.
        """
        ...

    def column_names(self, kind: str) -> Mapping[str, str]:
        """Field → the column of the file it is read from, where a format's columns bear names of their own."""
        ...


@runtime_checkable
class ControlledReader(Reader, Protocol):
    """A reader whose files have controls of their own: balances, trailers, payouts that their rows come to."""

    def statements(self, path: Path, name: str) -> Sequence["Statement"]:
        """What the file's statements, batches or reports come to, in order; `read` refuses what does not tie."""
        ...


@runtime_checkable
class BankReader(Protocol):
    """A reader whose files are a bank's: statements of accounts and their lines."""

    def bank_frames(
        self, path: Path, reading: "BankReading", *, name: str, notes: MutableMapping[str, int] | None
    ) -> Iterator["pl.DataFrame"]:
        """Frames of text by the contract of bank statements, as `read` gives them; `reading`: what the profile says.

        InputRejectedError as of `read`, and where a statement is of no account, or of another bank's.
        """
        ...


@dataclass(frozen=True)
class Format:
    """A format by the kinds of files it has, and the way to its reader.

    `shows_its_end`: whether a file that was cut is seen as such without a newline at its end.
    """

    kinds: tuple[str, ...]
    reader: Callable[[], Reader]
    shows_its_end: bool = False


def _canonical() -> Reader:
    from zentra_pipeline.sources.canonical import CanonicalReader

    return CanonicalReader()


def _stripe() -> Reader:
    from zentra_pipeline.sources.stripe import StripeReader

    return StripeReader()


def _adyen() -> Reader:
    from zentra_pipeline.sources.adyen import AdyenReader

    return AdyenReader()


def _camt(name: str) -> Callable[[], Reader]:
    def reader() -> Reader:
        from zentra_pipeline.sources import camt

        return camt.reader_of(name)

    return reader


def _bai2() -> Reader:
    from zentra_pipeline.sources import bai2

    return bai2.READER


def _amazon() -> Reader:
    from zentra_pipeline.sources import amazon

    return amazon.READER


def _checkout() -> Reader:
    from zentra_pipeline.sources import checkout

    return checkout.READER


def _nacha() -> Reader:
    from zentra_pipeline.sources import nacha

    return nacha.READER


def _ofx() -> Reader:
    from zentra_pipeline.sources import ofx

    return ofx.READER


def _tabular() -> Reader:
    from zentra_pipeline.sources.tabular_reader import TabularReader

    return TabularReader(None)


def _mt940() -> Reader:
    from zentra_pipeline.sources import mt940

    return mt940.READER


def _paypal() -> Reader:
    from zentra_pipeline.sources.paypal import PaypalReader

    return PaypalReader()


def _square() -> Reader:
    from zentra_pipeline.sources import square

    return square.READER


def _gocardless() -> Reader:
    from zentra_pipeline.sources import gocardless

    return gocardless.READER


def _mollie() -> Reader:
    from zentra_pipeline.sources import mollie

    return mollie.READER


def _braintree() -> Reader:
    from zentra_pipeline.sources import braintree

    return braintree.READER


_OF_BANKS = ("settlement", "bank_statement")
FORMATS: Mapping[str, Format] = MappingProxyType(
    {
        CANONICAL: Format(PROVIDER_KINDS, _canonical),
        "stripe": Format(("settlement", "callbacks"), _stripe),
        "adyen": Format(("settlement", "callbacks"), _adyen),
        "paypal": Format(("settlement", "callbacks"), _paypal),
        "camt053": Format(_OF_BANKS, _camt("camt053"), shows_its_end=True),
        "camt052": Format(_OF_BANKS, _camt("camt052"), shows_its_end=True),
        "camt054": Format(_OF_BANKS, _camt("camt054"), shows_its_end=True),
        "mt940": Format(_OF_BANKS, _mt940, shows_its_end=True),
        "bai2": Format(_OF_BANKS, _bai2, shows_its_end=True),
        "amazon": Format(("settlement",), _amazon),
        "checkout": Format(("settlement",), _checkout),
        "square": Format(("settlement", "callbacks"), _square),
        "gocardless": Format(("settlement", "callbacks"), _gocardless),
        "mollie": Format(("settlement", "callbacks"), _mollie),
        "braintree": Format(("settlement", "callbacks"), _braintree),
        "nacha": Format(("settlement",), _nacha, shows_its_end=True),
        "ofx": Format(_OF_BANKS, _ofx, shows_its_end=True),
        TABULAR: Format(_OF_BANKS, _tabular),
    }
)


def formats_of(kind: str) -> tuple[str, ...]:
    """The formats in which files of a kind may be, as profiles name them."""
    return tuple(name for name, found in FORMATS.items() if kind in found.kinds)


def reader_of(name: str, kind: str) -> Reader:
    """The reader of a format; UsageError when it reads no files of that kind."""
    known = formats_of(kind)
    if name not in known:
        raise UsageError(f"no reader of {kind} files for format {name!r}: use one of {', '.join(known)}")
    return FORMATS[name].reader()
