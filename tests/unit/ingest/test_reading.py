"""Goal: the form of a log shows in its bytes; what cannot be read is a coded error. Method: small files, cut."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from relmachine.errors import Code, RelmError
from relmachine.ingest.reading import Form, open_log

XES = b'<?xml version="1.0"?>\n<log><trace/></log>'


def _log(folder: Path, content: bytes, name: str = "log") -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


def _code(path: Path) -> Code:
    with pytest.raises(RelmError) as caught:
        b"".join(open_log(path)[1])
    assert caught.value.sentence
    return caught.value.code


@pytest.mark.parametrize(
    ("content", "form"),
    [
        (XES, Form.XES),
        (b"\xef\xbb\xbf" + XES, Form.XES),
        (XES.decode().encode("utf-16"), Form.XES),
        (b'\n  {"id": 1}', Form.CLOUDEVENTS),
    ],
)
@pytest.mark.parametrize("compressed", [False, True])
def test_the_form_and_the_compression_show_in_the_first_bytes(
    tmp_path: Path, content: bytes, form: Form, compressed: bool
) -> None:
    path = _log(tmp_path, gzip.compress(content) if compressed else content)
    found, chunks = open_log(path)
    assert (found, b"".join(chunks)) == (form, content)


def test_a_name_of_json_lines_allows_a_first_line_that_is_not_json(tmp_path: Path) -> None:
    assert open_log(_log(tmp_path, b"oops\n{}", "steps.jsonl.gz"))[0] is Form.CLOUDEVENTS
    assert _code(_log(tmp_path, b"oops\n{}", "steps.txt")) == Code.LOG_INVALID


def test_several_compressed_members_are_one_log(tmp_path: Path) -> None:
    path = _log(tmp_path, gzip.compress(XES[:20]) + gzip.compress(XES[20:]))
    assert b"".join(open_log(path)[1]) == XES


@pytest.mark.parametrize("cut", [2, 5, 12, -9, -4, -1])
def test_a_compressed_log_that_ends_too_early_is_truncated(tmp_path: Path, cut: int) -> None:
    assert _code(_log(tmp_path, gzip.compress(XES * 50)[:cut])) == Code.LOG_TRUNCATED


def test_damage_is_no_truncation(tmp_path: Path) -> None:
    whole = bytearray(gzip.compress(XES * 50))
    whole[-8] ^= 1
    assert _code(_log(tmp_path, bytes(whole))) == Code.LOG_INVALID


@pytest.mark.parametrize("content", [b"", gzip.compress(b"", mtime=0)])
def test_nothing_at_all_is_an_empty_log(tmp_path: Path, content: bytes) -> None:
    assert _code(_log(tmp_path, content)) == Code.LOG_EMPTY


@pytest.mark.parametrize("content", [b"PK\x03\x04 an archive", b"a,b,c\n", b"\x00" * 64])
def test_other_forms_are_named_invalid(tmp_path: Path, content: bytes) -> None:
    assert _code(_log(tmp_path, content)) == Code.LOG_INVALID


def test_what_is_no_file_is_not_found(tmp_path: Path) -> None:
    assert _code(tmp_path / "absent.xes") == Code.NOT_FOUND
    assert _code(tmp_path) == Code.NOT_FOUND
