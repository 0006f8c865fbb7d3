"""Questions to the policy and its answers, as every adapter of the policy port sees them."""

from __future__ import annotations

from typing import NamedTuple

from relmachine.gates.classes import RateClass, SizeClass


class Question(NamedTuple):
    """The policy's input. Never the payload, so that the answer can be remembered."""

    principal: str
    machine: str
    thread: str
    step: str
    size: SizeClass
    rate: RateClass


class Decision(NamedTuple):
    """The policy's answer; `any_thread` when it is the same on every thread, `given` unless it stands for none."""

    allow: bool
    reasons: tuple[str, ...]
    any_thread: bool
    given: bool = True


DENIED = Decision(False, ("undecided",), False)
"""What an undefined answer, an answer of another shape and an error count as."""

SILENT = DENIED._replace(given=False)
"""What no answer in time counts as. It says nothing about the question, so it is never remembered."""


def anywhere(question: Question) -> Question:
    """The question without its thread: no thread is called by the empty text."""
    principal, machine, _, step, size, rate = question
    return Question(principal, machine, "", step, size, rate)
