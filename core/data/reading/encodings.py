"""What a file's bytes are: compressed with what, text in which encoding; and a plain UTF-8 copy of it."""

import bz2
import codecs
import gzip
import lzma
import stat
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import zstandard
from charset_normalizer import from_bytes

from core.errors import NoSuchFile, Unreadable, reason_of
from core.wording import say
from core.workspace.files import LFS_POINTER

BLOCK = 1 << 20
SAMPLE = 1 << 18
JSON_BEGINS = b'[{" \t\r\n'
# JSON text is rarely compressed 100 times; a bomb a thousand times. Until this size it does no harm.
MOST_EXPANSION, HARMLESS = 200, 1 << 28


def most_bytes(packed: int) -> int:
    """How many bytes may come out of a file of ``packed`` bytes before it is taken for a bomb."""
    return max(HARMLESS, MOST_EXPANSION * packed)


def _zstd(raw: BinaryIO) -> Any:
    return zstandard.ZstdDecompressor().stream_reader(raw, read_across_frames=True)


_OPENERS: dict[str, tuple[bytes, Callable[[BinaryIO], Any]]] = {
    "gzip": (b"\x1f\x8b", lambda raw: gzip.GzipFile(fileobj=raw)),
    "zstd": (b"\x28\xb5\x2f\xfd", _zstd),
    "bzip2": (b"BZh", bz2.BZ2File),
    "xz": (b"\xfd7zXZ\x00", lzma.LZMAFile),
}
_CUT_OFF = (EOFError, zlib.error, lzma.LZMAError, zstandard.ZstdError, gzip.BadGzipFile, OSError)
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
# Of what is no text, by its first bytes: what a person may have given by mistake.
_NO_TEXT = (
    (b"\x89PNG", "PNG"),
    (b"\xff\xd8\xff", "JPEG"),
    (b"%PDF", "PDF"),
    (b"SQLite format 3", "SQLite"),
    (b"7z\xbc\xaf", "7z"),
    (b"Rar!", "RAR"),
    (b"PK\x03\x04", "ZIP"),
    (b"\x7fELF", "ELF"),
    (b"\x89HDF", "HDF5"),
    (b"Obj\x01", "Avro"),
    (b"GGUF", "GGUF"),
    (b"\x80\x04\x95", "pickle"),
)


# Where the name of its form stands in a tar file.
TAR_AT = 257


@dataclass(frozen=True)
class Encoding:
    """``compression``: its name, empty for none. ``mark``: bytes of a byte order mark before the text."""

    compression: str
    text: str
    mark: int

    @property
    def plain(self) -> bool:
        """Whether the file can be read as it is, behind its mark."""
        return not self.compression and self.text == "utf-8"


def read_encoding(path: Path) -> Encoding:
    """What ``path`` holds, from its beginning. Raises NoSuchFile, Unreadable."""
    with opened(path) as raw:
        head = raw.read(16)
    compression = next((name for name, (magic, _) in _OPENERS.items() if head.startswith(magic)), "")
    with decompressed(path, compression) as stream:
        try:
            sample = stream.read(SAMPLE)
        except _CUT_OFF as error:
            raise Unreadable(path=path, reason=say("file.damaged_archive", kind=compression)) from error
    if sample.startswith(LFS_POINTER):
        raise Unreadable(path=path, reason=say("file.lfs_pointer"))
    return Encoding(compression, *_text_encoding(path, sample))


def _text_encoding(path: Path, sample: bytes) -> tuple[str, int]:
    for mark, name in _MARKS:
        if sample.startswith(mark):
            return name, len(mark)
    if kind := next((name for magic, name in _NO_TEXT if sample.startswith(magic)), None):
        raise Unreadable(path=path, reason=say("file.no_text", kind=kind))
    if sample[TAR_AT : TAR_AT + 5] == b"ustar":
        raise Unreadable(path=path, reason=say("file.no_text", kind="tar"))
    if b"\0" in sample[:4096] and (guess := _wide(sample)):
        return guess, 0
    if b"\0" in sample[:4096]:
        raise Unreadable(path=path, reason=say("file.binary"))
    return _by_content(sample), 0


def _wide(sample: bytes) -> str | None:
    """UTF-16 without its mark: JSON begins with an ASCII character, so one byte of it is zero."""
    first, second = sample[:1], sample[1:2]
    if first == b"\0" and second and second in JSON_BEGINS:
        return "utf-16-be"
    return "utf-16-le" if second == b"\0" and first in JSON_BEGINS else None


def _by_content(sample: bytes) -> str:
    """UTF-8 where it is (a few broken bytes are a fault of their rows), else GB18030, else the likeliest."""
    high = sum(byte >= 0x80 for byte in sample)
    lost = sample.decode("utf-8", "replace").count("\ufffd") - sample.count(b"\xef\xbf\xbd")
    if lost <= max(1, high // 20) or not high:
        return "utf-8"
    if _is_gb18030(sample):
        return "gb18030"
    best = from_bytes(sample[: 1 << 15]).best()
    return best.encoding if best and best.encoding not in {"ascii", "utf_8"} else "utf-8"


def _is_gb18030(sample: bytes) -> bool:
    """Chinese in GB18030 is mostly common characters; another encoding read so is mostly rare ones."""
    text = codecs.getincrementaldecoder("gb18030")("replace").decode(sample)
    wide = [character for character in text if character >= "\x80"]
    common = sum(_gb2312(character) for character in wide)
    return bool(wide) and text.count("\ufffd") <= len(wide) // 50 and common > 0.8 * len(wide)


def _gb2312(character: str) -> bool:
    try:
        lead = character.encode("gb2312")[0]
    except UnicodeEncodeError:
        return False
    return 0xA1 <= lead <= 0xA3 or 0xB0 <= lead <= 0xD7  # punctuation, and the first level of characters


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """A file to read bytes from. A device such as /dev/zero never ends: only files and pipes are read.

    Raises NoSuchFile, Unreadable.
    """
    try:
        kind = path.stat().st_mode
        if stat.S_ISCHR(kind) or stat.S_ISBLK(kind) or stat.S_ISSOCK(kind):
            raise Unreadable(path=path, reason=say("file.not_a_file"))
        stream = path.open("rb")
    except FileNotFoundError as error:
        raise NoSuchFile(path=path) from error
    except (OSError, ValueError) as error:
        reason = reason_of(error) if isinstance(error, OSError) else str(error)
        raise Unreadable(path=path, reason=reason) from error
    with stream:
        yield stream


@contextmanager
def decompressed(path: Path, compression: str) -> Iterator[BinaryIO]:
    """The file's bytes behind its compression."""
    with opened(path) as raw:
        yield _OPENERS[compression][1](raw) if compression else raw


def write_plain(path: Path, encoding: Encoding, target: Path) -> bool:
    """Write ``path`` as plain UTF-8 into ``target``; False when the file ends before its text does.

    Bytes that are no text become replacement characters, which the check finds. Raises Unreadable for a file
    that expands without measure.
    """
    decoder = codecs.getincrementaldecoder(encoding.text)("replace")
    most = most_bytes(path.stat().st_size)
    written, whole = 0, True
    with decompressed(path, encoding.compression) as source, target.open("wb") as out:
        for block, fine in _blocks(source):
            whole = fine
            written += len(block)
            if encoding.compression and written > most:
                raise Unreadable(path=path, reason=say("file.bomb", times=MOST_EXPANSION))
            out.write(block if encoding.text == "utf-8" else decoder.decode(block).encode("utf-8", "replace"))
        if encoding.text != "utf-8":
            out.write(decoder.decode(b"", final=True).encode("utf-8", "replace"))
    return whole


def _blocks(source: BinaryIO) -> Iterator[tuple[bytes, bool]]:
    """Blocks, each with whether nothing went wrong so far."""
    while True:
        try:
            block = source.read(BLOCK)
        except _CUT_OFF:
            yield b"", False
            return
        if not block:
            return
        yield block, True
