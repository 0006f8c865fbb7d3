"""What a turn records of the steps it decided: receipts, rejections, the journal, and what leaves on the feeds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import orjson

from relmachine.kernel.envelope import Candidate
from relmachine.kernel.lifecycle import ABORTED, REFUSED
from relmachine.kernel.proposal import OutboxRow, ReceiptRow, RejectionRow, TransitionRow
from relmachine.kernel.verdicts import GateName, Refused, Repeated

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
        self._journal: list[dict[str, object]] = []

    def committed(self, candidate: Candidate, event_id: str, history_id: str) -> None:
        """The step became `event_id` and led to `history_id`."""
        outcome = _committed(candidate, event_id, history_id)
        self._receipt(candidate, outcome)
        self._note(candidate, outcome)

    def refused(self, item: Refused) -> None:
        """The step was refused. Without a key of its own it gets no receipt: the key answers for another step."""
        candidate, refusal = item.candidate, item.refusal
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
                ABORTED if refusal.gate is GateName.ENGINE else REFUSED,
            )
        )
        outcome: dict[str, object] = {
            "outcome": "refused",
            "sequence": candidate.sequence,
            "gate": refusal.gate,
            "code": refusal.code,
            "sentence": sentence,
        }
        if item.keyed and candidate.step_key:
            self._receipt(candidate, outcome)
        self._note(candidate, outcome)

    def applied(self, candidate: Candidate, history_id: str, details: Mapping[str, object]) -> None:
        """The control record took effect: it led to `history_id`, and to what `details` tells."""
        outcome = {"outcome": "applied", "sequence": candidate.sequence, "history": history_id, **details}
        self._receipt(candidate, outcome)
        self._note(candidate, outcome)

    def joined(self, candidate: Candidate, event_id: str, history_id: str) -> None:
        """The event became part of the thread by a fork or a merge: publishing it here again is a repetition."""
        self._receipt(candidate, _committed(candidate, event_id, history_id))

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
        return [
            OutboxRow(self.thread, cursor, kind, orjson.dumps({**frame, name: items}).decode())
            for kind, name, items in feeds
            if items
        ]

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


def _committed(candidate: Candidate, event_id: str, history_id: str) -> dict[str, object]:
    return {"outcome": "committed", "sequence": candidate.sequence, "event": event_id, "history": history_id}


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
