"""A thread in a file: what was published on it and on the threads it was forked from or merged with, and what came of
it. All that a replay needs, and nothing of what was refused.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from relmachine.errors import Code, RelmError

EXPORT_BYTES_MAX = 512 * 1024 * 1024
"""Largest export that is written or read."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ExportedMessage(_Part):
    """A message by its stream sequence: `step` is its step token, `body` the envelope, made again from what is stored.

    Without a body it stands for one that was refused or repeated another: only its place is known.
    """

    sequence: int = Field(ge=1, lt=2**63)
    thread: str
    step: str
    body: str = ""


class ExportedEvent(_Part):
    """An event of a thread, where it came, and the history that it led to."""

    thread: str
    sequence: int
    place: int
    event: str
    history: str


class ExportedAttempt(_Part):
    """An attempt of a run: the message at which it began, the digest of what it saw, and how it ended.

    `answered` is the sequence of its answer, 0 while there is none; `plan` the digest of the frozen plan it went by.
    """

    attempt: int
    began: int
    view: str
    answered: int = 0
    reason: str = ""
    plan: str = ""


class ExportedRun(_Part):
    """A run: the step that was published at `request`, its attempts, and its outcome, None while it is open."""

    thread: str
    request: int
    step: str
    payload_digest: str
    attempts: tuple[ExportedAttempt, ...]
    ended: int = 0
    outcome: dict[str, object] | None = None


class ExportedStop(_Part):
    """A thread that was cancelled or closed on the control lane once it had decided stream sequence `after`."""

    thread: str
    record: Literal["cancel", "close"]
    after: int


class ThreadExport(_Part):
    """One thread, and those that it is of one family with."""

    format: Literal["relmachine thread"] = "relmachine thread"
    version: Literal[2] = 2
    machine: str
    machine_version: str
    laws_digest: str
    plan_digest: str
    thread: str
    sections: dict[str, str | None] = Field(description="Digest of each thread's section at the end")
    messages: tuple[ExportedMessage, ...] = Field(description="By stream sequence")
    events: tuple[ExportedEvent, ...]
    runs: tuple[ExportedRun, ...]
    stops: tuple[ExportedStop, ...] = ()

    def save(self, path: Path) -> None:
        """Write the file. Errors: OSError."""
        path.write_text(self.text(), encoding="utf-8")

    def text(self) -> str:
        """The file's content: JSON, one value a line, so that two exports can be compared by any tool."""
        return self.model_dump_json(indent=1) + "\n"

    @classmethod
    def load(cls, path: Path) -> ThreadExport:
        """The export in the file. Errors: `not_found`, `limit_exceeded`, `log_invalid` when it is none; OSError."""
        if not path.is_file():
            sentence = f"there is no file {str(path)!r}: `relm thread export` writes one"
            raise RelmError(Code.NOT_FOUND, sentence, path=str(path))
        if path.stat().st_size > EXPORT_BYTES_MAX:
            sentence = f"an export has at most {EXPORT_BYTES_MAX} bytes"
            raise RelmError(Code.LIMIT_EXCEEDED, sentence, path=str(path), export_bytes_max=EXPORT_BYTES_MAX)
        try:
            return cls.model_validate_json(path.read_bytes())
        except ValidationError as error:
            sentence = (
                "this is no exported thread, or an earlier relmachine wrote it: write one with `relm thread export`"
            )
            raise RelmError(Code.LOG_INVALID, sentence, path=str(path), detail=str(error)[:500]) from error
