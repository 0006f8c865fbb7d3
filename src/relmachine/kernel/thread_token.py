"""Thread names on the wire: one subject token, percent-encoded where a subject could not carry it."""

from __future__ import annotations

import re
from urllib.parse import quote, unquote

from relmachine.errors import Code, RelmError
from relmachine.kernel.limits import Limits

_TOKEN = re.compile(r"(?:[A-Za-z0-9_~-]|%[0-9A-F]{2})+")


def encode_thread(label: str, limits: Limits | None = None) -> str:
    """The subject token of a thread called `label`: everything but letters, digits, `_`, `~`, `-` becomes %XX.

    Errors: `thread_name_invalid` when empty, with lone surrogates, or too long once encoded.
    """
    try:
        token = _encoded(label)
    except UnicodeEncodeError as error:
        raise RelmError(Code.THREAD_NAME_INVALID, "name threads in text without lone surrogates") from error
    return check_thread(token, limits)


def thread_label(token: str) -> str:
    """The name that people gave: the inverse of `encode_thread`."""
    return unquote(token)


def check_thread(token: str, limits: Limits | None = None) -> str:
    """`token` itself when it is a thread's subject token: the one that `encode_thread` gives for its label.

    Errors: `thread_name_invalid` with the first character that a token cannot carry, with the length, or with the
    token to write instead of an escape that is not needed.
    """
    longest = (limits or Limits()).thread_token_characters_max
    if len(token) > longest:
        raise RelmError(
            Code.THREAD_NAME_INVALID,
            f"use at most {longest} characters for a thread (encoded)",
            thread_token_characters_max=longest,
            length=len(token),
        )
    match = _TOKEN.match(token)
    end = match.end() if match else 0
    if end != len(token) or not token:
        raise RelmError(
            Code.THREAD_NAME_INVALID,
            "use letters, digits, '_', '~' and '-', and %XX for everything else (dots and spaces too)",
            thread=token,
            at=end,
        )
    if "%" in token:
        _check_escapes(token)
    return token


def _check_escapes(token: str) -> None:
    """One name has one token: two spellings of a case would be two threads, each with half of its steps."""
    try:
        canonical = _encoded(unquote(token, errors="strict"))
    except UnicodeDecodeError as error:
        sentence = "percent-encode the UTF-8 bytes of the name: these bytes are not UTF-8"
        raise RelmError(Code.THREAD_NAME_INVALID, sentence, thread=token) from error
    if canonical != token:
        sentence = f"write {canonical!r}: letters, digits, '_', '~' and '-' are not percent-encoded"
        raise RelmError(Code.THREAD_NAME_INVALID, sentence, thread=token, canonical=canonical)


def _encoded(label: str) -> str:
    return quote(label, safe="").replace(".", "%2E")
