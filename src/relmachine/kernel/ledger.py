"""What a turn records of the steps it decided: receipts, rejections, the journal, and what leaves on the feeds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Literal

import orjson

from relmachine.kernel.candidate import Candidate
from relmachine.kernel.lifecycle import ABORTED, REFUSED
from relmachine.kernel.outcome_rows import OutboxRow, ReceiptRow, RejectionRow, TransitionRow
from relmachine.kernel.verdicts import GateName, Refusal, Refused, Repeated

WITNESS_CHARACTERS_MAX = 1000
"""Length of a stored witness. Longer ones are cut and kept under the member `cut`."""


SENTENCE_CHARACTERS_MAX = 1000
"""Length of a stored sentence. Longer ones are cut."""


class Ledger:
    """Outcomes of one thread's steps, in subject order."""

    def __init__(self, thread: str) -> None:
        self.thread = thread
        self.receipts: list[ReceiptRow] = []
        self.rejections: list[RejectionRow] = []
        self.transitions: list[TransitionRow] = []
        self.follow_ups: list[dict[str, object]] = []
        self._journal: list[dict[str, object]] = []

    def committed(self, candidate: Candidate, event_id: str, history_id: str) -> None:
        """The step became `event_id` and led to `history_id`."""
        outcome = committed(candidate.sequence, event_id, history_id)
        self._receipt(candidate, outcome)
        self._note(candidate, outcome)

    def refused(self, item: Refused) -> None:
        """The step was refused. Without a key of its own it gets no receipt: the key answers for another step."""
        candidate, refusal = item.candidate, item.refusal
        outcome = self.rejected(candidate, refusal, ABORTED if refusal.gate is GateName.ENGINE else REFUSED)
        if item.keyed and candidate.step_key:
            self._receipt(candidate, outcome)
        self._note(candidate, outcome)

    def rejected(self, candidate: Candidate, refusal: Refusal, lifecycle: str) -> dict[str, object]:
        """The row of a refused or aborted step; returns the outcome to tell."""
        sentence = _sentence(refusal.sentence)
        self.rejections.append(
            RejectionRow(
                self.thread,
                candidate.sequence,
                candidate.step,
                candidate.step_key,
                refusal.gate,
                refusal.code,
                sentence,
                _witness(refusal.witness),
                lifecycle,
            )
        )
        return {
            "outcome": "refused",
            "sequence": candidate.sequence,
            "gate": refusal.gate,
            "code": refusal.code,
            "sentence": sentence,
        }

    def applied(self, candidate: Candidate, history_id: str, details: Mapping[str, object]) -> None:
        """The control record took effect: it led to `history_id`, and to what `details` tells."""
        outcome = {"outcome": "applied", "sequence": candidate.sequence, "history": history_id, **details}
        self._receipt(candidate, outcome)
        self._note(candidate, outcome)

    def opened(self, candidate: Candidate) -> None:
        """The step runs outside its turn from now on; what comes of it is told when its answer is decided."""
        outcome: dict[str, object] = {"outcome": "opened", "sequence": candidate.sequence}
        self._receipt(candidate, outcome)
        self._note(candidate, outcome)

    def held(self, candidate: Candidate) -> None:
        """The step waits from now on; what comes of it is told when it is released."""
        outcome: dict[str, object] = {"outcome": "held", "sequence": candidate.sequence}
        self._receipt(candidate, outcome)
        self._note(candidate, outcome)

    def released(self, record: Candidate, history_id: str, outcome: Mapping[str, object], *, held: Candidate) -> None:
        """The record that let the step `held` be decided again took effect."""
        effect = {"history": history_id, "record": record.step, "held": held.sequence}
        self._receipt(record, {"outcome": "applied", "sequence": record.sequence, **effect})
        self._note(replace(held, sequence=record.sequence), {**outcome, "held": held.sequence})

    def answered(self, record: Candidate, history_id: str, outcome: Mapping[str, object], *, run: Candidate) -> None:
        """The record at whose sequence the run of the step `run` ended, or began again, took effect."""
        effect = {"history": history_id, "record": record.step, "request": run.sequence}
        self._receipt(record, {"outcome": "applied", "sequence": record.sequence, **effect})
        self._note(replace(run, sequence=record.sequence), {**outcome, "request": run.sequence})

    def joined(self, candidate: Candidate, event_id: str, history_id: str) -> None:
        """The event became part of the thread by a fork or a merge: publishing it here again is a repetition."""
        self._receipt(candidate, committed(candidate.sequence, event_id, history_id))

    def repeated(self, item: Repeated) -> None:
        """The step was seen before, at `item.sequence`: the receipt there answers."""
        self._note(item.candidate, {"outcome": "repeated", "sequence": item.sequence})

    def outbox(self, after: int, cursor: int, history_id: str) -> list[OutboxRow]:
        """One message per feed for the turn that went from cursor `after` to `cursor`: a feed without news has none."""
        frame = {"thread": self.thread, "from_sequence": after, "to_sequence": cursor, "history": history_id}
        feeds: tuple[tuple[Literal["journal", "out", "rejected"], str, list[dict[str, object]]], ...] = (
            ("journal", "outcomes", self._journal),
            ("out", "transitions", [row._asdict() for row in self.transitions]),
            ("rejected", "rejections", [row._asdict() for row in self.rejections]),
        )
        rows = [
            OutboxRow(self.thread, cursor, kind, orjson.dumps({**frame, name: items}).decode())
            for kind, name, items in feeds
            if items
        ]
        if self.follow_ups:
            rows.append(OutboxRow(self.thread, cursor, "step", orjson.dumps(self.follow_ups).decode()))
        return rows

    def _note(self, candidate: Candidate, outcome: dict[str, object]) -> None:
        self._journal.append({"at": candidate.sequence, "step": candidate.step, "key": candidate.step_key, **outcome})

    def _receipt(self, candidate: Candidate, outcome: dict[str, object]) -> None:
        self.receipts.append(
            ReceiptRow(
                self.thread,
                candidate.step_key,
                candidate.step,
                candidate.payload_digest,
                candidate.sequence,
                orjson.dumps(outcome).decode(),
            )
        )


def committed(sequence: int, event_id: str, history_id: str) -> dict[str, object]:
    """The outcome of a step that became an event at `sequence`."""
    return {"outcome": "committed", "sequence": sequence, "event": event_id, "history": history_id}


def _sentence(sentence: str) -> str:
    return sentence if len(sentence) <= SENTENCE_CHARACTERS_MAX else sentence[: SENTENCE_CHARACTERS_MAX - 1] + "…"


def _witness(witness: Mapping[str, object]) -> str:
    """The witness as JSON, cut to `WITNESS_CHARACTERS_MAX`: a turn's refusals have to fit into one feed message."""
    try:
        text = orjson.dumps(dict(witness), default=str).decode()
    except orjson.JSONEncodeError as error:
        text = orjson.dumps({"unwritable": str(error)}).decode()
    if len(text) <= WITNESS_CHARACTERS_MAX:
        return text
    return orjson.dumps({"cut": text[:WITNESS_CHARACTERS_MAX]}).decode()
