"""Amazon's flat files as tables that the CSV grammar can prove: in UTF-8, every quote within quotes.

Amazon writes tabs between values and quotes none: a quote is text (an SKU `12" plate`). Reports of most marketplaces
are in Windows-1252, those of Japan in its code page 932. Does not belong here: what a column means (amazon).
"""

import codecs
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from zentra_pipeline.errors import InputRejectedError
from zentra_pipeline.sources.file_refusals import refuse_other_forms, start_of
from zentra_pipeline.sources.limits import CHUNK_BYTES, RECORD_BYTES

_OF_JAPAN: Final = b"\tJPY\t"


@contextmanager
def table(path: Path, name: str) -> Iterator[Path]:
    """The file itself where it is UTF-8 without quotes, else a copy that is gone afterwards.

    InputRejectedError when it is no text in the encoding of its marketplace.
    """
    start = start_of(path)
    refuse_other_forms(start, name)
    is_utf8, has_quotes = _form(path)
    if is_utf8 and not has_quotes:
        yield path
        return
    encoding = "utf-8-sig" if is_utf8 else "cp932" if _OF_JAPAN in start else "cp1252"
    with tempfile.TemporaryDirectory(prefix="zentra-amazon-") as folder:
        copy = Path(folder) / "report.txt"
        _write(path, copy, name, encoding)
        yield copy


def _form(path: Path) -> tuple[bool, bool]:
    """Whether a file is UTF-8, and whether it has quotes."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    is_utf8, has_quotes = True, False
    with path.open("rb") as stream:
        while is_utf8 and (block := stream.read(CHUNK_BYTES)):
            has_quotes = has_quotes or b'"' in block
            is_utf8 = _takes(decoder, block, is_last=False)
    return is_utf8 and _takes(decoder, b"", is_last=True), has_quotes


def _takes(decoder: codecs.IncrementalDecoder, block: bytes, *, is_last: bool) -> bool:
    try:
        decoder.decode(block, is_last)
    except UnicodeDecodeError:
        return False
    return True


def _write(path: Path, copy: Path, name: str, encoding: str) -> None:
    try:
        with (
            path.open(encoding=encoding, newline="\n") as source,
            copy.open("w", encoding="utf-8", newline="") as target,
        ):
            while line := source.readline(RECORD_BYTES):
                ending = line[len(line.rstrip("\r\n")) :]
                text = line.removesuffix(ending)
                target.write("\t".join(map(_quoted, text.split("\t"))) + ending if '"' in text else line)
    except UnicodeDecodeError as cause:
        raise InputRejectedError(
            f"{name}: it is text in neither UTF-8 nor {'Shift_JIS' if encoding == 'cp932' else 'Windows-1252'}, in "
            "which Amazon writes its reports; download the report again, and leave it as it comes"
        ) from cause


def _quoted(value: str) -> str:
    """A value with a quote, by the grammar; one that a spreadsheet put in quotes has them already."""
    if '"' not in value:
        return value
    is_quoted = len(value) > 1 and value[0] == value[-1] == '"'
    inner = value[1:-1].replace('""', '"') if is_quoted else value
    return f'"{inner.replace(chr(34), chr(34) * 2)}"'
