"""The bytes of a log, decompressed as they are read, and which form they are in."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from enum import StrEnum
from itertools import chain
from pathlib import Path
from typing import BinaryIO, cast

from relmachine.errors import Code, RelmError

CHUNK_BYTES = 64 * 1024
_GZIP_MAGIC = b"\x1f\x8b"
_BEFORE_TEXT = b"\xef\xbb\xbf\xff\xfe\x00 \t\r\n"
"""Byte order marks, blanks, and the zero bytes that UTF-16 puts between ASCII characters."""
_LINE_SUFFIXES = {".json", ".jsonl", ".ndjson"}


class Form(StrEnum):
    """The forms a log may have."""

    XES = "xes"
    CLOUDEVENTS = "cloudevents"


def open_log(path: Path) -> tuple[Form, Iterator[bytes]]:
    """The form of the log at `path` and its decompressed bytes in chunks. What is compressed shows in its first bytes.

    Errors: `not_found`, `unreachable`, `log_empty`, `log_invalid`; while reading `log_truncated`, `log_invalid`.
    """
    chunks = _chunks(path)
    first = next(chunks, b"")
    if not first:
        raise RelmError(Code.LOG_EMPTY, "the log has no content: give a file with at least one step", path=str(path))
    return _form(path, first), chain((first,), chunks)


def _form(path: Path, first: bytes) -> Form:
    start = first.lstrip(_BEFORE_TEXT)[:1]
    if start == b"<":
        return Form.XES
    if start == b"{" or _LINE_SUFFIXES & set(path.suffixes):
        return Form.CLOUDEVENTS
    raise RelmError(
        Code.LOG_INVALID,
        "give an XES file (XML) or CloudEvents JSON lines, plain or gzip-compressed; unpack other archives first",
        path=str(path),
        starts_with=first[:16].decode("ascii", "backslashreplace"),
    )


def _chunks(path: Path) -> Iterator[bytes]:
    try:
        with path.open("rb") as file:
            compressed = file.read(len(_GZIP_MAGIC)) == _GZIP_MAGIC
            file.seek(0)
            stream = cast(BinaryIO, gzip.GzipFile(fileobj=file)) if compressed else file
            while chunk := stream.read(CHUNK_BYTES):
                yield chunk
    except EOFError as error:
        raise RelmError(
            Code.LOG_TRUNCATED, "the compressed log ends too early: copy or download it again", path=str(path)
        ) from error
    except (zlib.error, gzip.BadGzipFile) as error:
        raise RelmError(
            Code.LOG_INVALID,
            "the compressed log is damaged: copy or download it again",
            path=str(path),
            detail=str(error),
        ) from error
    except PermissionError as error:
        sentence = "the log may not be read: change its permissions, or copy it"
        raise RelmError(Code.UNREACHABLE, sentence, path=str(path)) from error
    except OSError as error:
        raise RelmError(
            Code.NOT_FOUND, "the log cannot be read: give the path of a file", path=str(path), detail=str(error)
        ) from error
