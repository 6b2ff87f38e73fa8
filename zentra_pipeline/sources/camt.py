"""ISO 20022 account statements as settlement lines: camt.053, and camt.052 reports and camt.054 notifications alike.

Every version from 01 to 14 by the local names of its elements, streamed entry by entry; entities and DTDs are refused.
A statement's own arithmetic is checked where it ends: balances, else its summary. Does not belong here: which line type
a bank transaction code means (seed `bank_transaction_codes`), what an entry of one statement is (camt_entry).
"""

from collections.abc import Iterator, MutableMapping
from pathlib import Path
from typing import Final, cast

from lxml import etree

from zentra_pipeline.errors import InputRejectedError
from zentra_pipeline.sources.bank_statements import LineIds, Part
from zentra_pipeline.sources.camt_entry import Details, Node, batch_of, details_of, local_name
from zentra_pipeline.sources.camt_statement import OpenStatement, Pages
from zentra_pipeline.sources.file_refusals import refuse_other_xml, start_of
from zentra_pipeline.sources.limits import BYTE_ORDER_MARK
from zentra_pipeline.sources.parts_reader import Notes, PartsReader
from zentra_pipeline.sources.statement import Head

_BLOCK = 64 * 1024
_HELD_BYTES = 512 * 1024  # elements take some twenty times the room of their text
_MOST_DETAILS: Final = 150_000  # of one entry, held until it ends
_MESSAGES: Final = {
    "BkToCstmrStmt": ("camt053", "a camt.053 statement"),
    "BkToCstmrAcctRpt": ("camt052", "a camt.052 report"),
    "BkToCstmrDbtCdtNtfctn": ("camt054", "a camt.054 notification"),
}
_WANTED = dict(_MESSAGES.values())
_TYPES: Final = {"camt053": "statement", "camt052": "report", "camt054": "notification"}
_STATEMENTS = ("Stmt", "Rpt", "Ntfctn")
COLUMN_NAMES: Final = {
    "line_id": "AcctSvcrRef",
    "line_type": "BkTxCd",
    "provider_reference": "AcctSvcrRef, NtryRef or Refs",
    "merchant_reference": "EndToEndId",
    "gross_minor": "Amt",
    "fee_minor": "Amt",
    "net_minor": "Amt",
    "currency": "Ccy",
    "settled_at": "BookgDt",
    "batch_id": "PmtInfId",
    "presentment_minor": "InstdAmt",
    "presentment_currency": "InstdAmt",
}
"""Settlement field → the element it is read from."""
_WATCHED = (*_STATEMENTS, "Bal", "TxsSummry", "Ntry", "TxDtls")


def parts(path: Path, name: str, file_format: str | None, notes: Notes) -> Iterator[Part]:
    """Entries, or lines of those that are booked, and after those of each the statements, in the order of the file.

    Without a format each of the messages is one, and entries come without their lines: the file is a bank's. Otherwise
    lines come alone. `notes` counts what gives no line. InputRejectedError when the file is
    not of the format, or cannot be read.
    """
    refuse_other_xml(start_of(path), name)
    reader = _Reader(name, file_format, notes)
    parser = etree.XMLPullParser(
        events=("start", "end"),
        tag=[f"{{*}}{tag}" for tag in _WATCHED],
        resolve_entities=False,
        load_dtd=False,
        no_network=True,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
    )
    try:
        with path.open("rb") as stream:
            # XML has nothing before its declaration; banks' portals put blank lines there.
            first = stream.read(_BLOCK)
            parser.feed(first.removeprefix(BYTE_ORDER_MARK).lstrip(b" \t\r\n") or first)
            yield from reader.take(parser, _BLOCK)
            while block := stream.read(_BLOCK):
                parser.feed(block)
                yield from reader.take(parser, len(block))
        root = parser.close()
        yield from reader.take(parser, 0)
    except etree.XMLSyntaxError as cause:
        raise InputRejectedError(
            f"{name}: it is not whole XML: {str(cause.msg)[:400]}; was the file cut or edited? Download it again"
        ) from cause
    if not reader.statements:
        raise InputRejectedError(f"{name}: {_nothing_found(root, file_format)}")


class _Reader:
    """Follows the watched elements of one file and lets go of each as soon as it is read."""

    def __init__(self, name: str, file_format: str | None, notes: MutableMapping[str, int]) -> None:
        self.statements = 0
        self._name = name
        self._format = file_format
        self._notes = notes
        self._ids = LineIds()
        self._pages: Pages = {}
        self._open: OpenStatement | None = None
        self._details: list[Details] = []
        self._group: Node | None = None
        self._batch: str | None = None
        self._held = 0

    def take(self, parser: etree.XMLPullParser, octets: int) -> Iterator[Part]:
        """What the elements that have ended since the last call give; `octets`: how much was fed meanwhile."""
        self._held += octets
        for event, element in parser.read_events():
            node = cast(Node, element)
            if event == "start":
                self._begin(node)
            else:
                yield from self._end(node)
        if self._held > _HELD_BYTES:
            raise InputRejectedError(
                f"{self._name}: more than {_HELD_BYTES // 1024} KiB without an end of an entry; "
                "is it an account statement?"
            )

    def _begin(self, node: Node) -> None:
        if local_name(node) not in _STATEMENTS:
            return
        message = _message_of(node.getparent())
        if message is None:
            return
        form, what = message
        if self._format is not None and form != self._format:
            raise InputRejectedError(
                f"{self._name}: it is {what}, not {_WANTED[self._format]}; read it with format {form}"
            )
        if node.getroottree().docinfo.doctype:
            raise InputRejectedError(
                f"{self._name}: it has a document type (DTD), which bank files have not; remove it"
            )
        head = Head(_TYPES[form])
        self._open = OpenStatement(
            self._name, node, self._ids, self._pages, self._notes, head, is_of_bank=self._format is None
        )

    def _end(self, node: Node) -> Iterator[Part]:
        statement, tag = self._open, local_name(node)
        if statement is None:
            return
        parent = node.getparent()
        if tag == "TxDtls":
            if parent is not None and local_name(parent) in ("NtryDtls", "Ntry"):
                if parent is not self._group:
                    self._group, self._batch = parent, batch_of(parent)
                if len(self._details) >= _MOST_DETAILS:
                    raise InputRejectedError(
                        f"{self._name}: an entry has more than {_MOST_DETAILS:,} transactions (TxDtls); "
                        "ask the bank for smaller batches"
                    )
                self._details.append(details_of(node, self._batch, has_words=self._format is None))
                self._release(node)
        elif node is statement.node:
            yield from statement.close()
            self.statements += 1
            self._open = None
            self._release(node)
        elif parent is statement.node:
            if tag == "Bal":
                statement.add_balance(node)
                self._release(node)
            elif tag == "TxsSummry":
                statement.add_summary(node)
            elif tag == "Ntry":
                details, self._details, self._group = self._details, [], None
                yield from statement.lines(node, details)
                self._release(node)

    def _release(self, node: Node) -> None:
        """Let go of an element that was read, and of all before it in its parent that nothing will ask for."""
        node.clear()
        parent = node.getparent()
        if parent is not None and local_name(node) != "TxDtls":
            for sibling in list(node.itersiblings(preceding=True)):
                parent.remove(sibling)
        elif parent is not None:
            parent.remove(node)
        self._held = 0


def _message_of(parent: Node | None) -> tuple[str, str] | None:
    """Format and name of the message a statement is in; the element of version 01 has the version in its name."""
    tag = "" if parent is None else local_name(parent)
    return _MESSAGES.get(tag.removesuffix("V01"))


def _nothing_found(root: Node, file_format: str | None) -> str:
    found = [local_name(node) for node in root.iter("{*}*") if _message_of(node) is not None]
    wanted = "an account statement (camt.053, camt.052, camt.054)" if file_format is None else _WANTED[file_format]
    if found:
        return f"its {found[0]} holds no statement; ask the bank for the file again"
    inner = next((local_name(child) for child in root), None)
    shown = f"<{local_name(root)}>" + (f" with <{inner}>" if inner else "")
    return f"it is XML, but {shown} is not {wanted}; is it a file of another kind?"


def reader_of(file_format: str) -> PartsReader:
    """The reader of one of the three messages, camt052, camt053 or camt054; a bank's files are of any of them."""
    return PartsReader(
        lambda path, name, notes: parts(path, name, file_format, notes),
        COLUMN_NAMES,
        of_banks=lambda path, name, notes: parts(path, name, None, notes),
    )
