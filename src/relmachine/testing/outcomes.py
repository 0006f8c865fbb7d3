"""What a closure gives for given arguments, as texts that can be compared across processes."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from pydantic import BaseModel

from relmachine.errors import Code, RelmError
from relmachine.machine.section import Section
from relmachine.machine.view import View
from relmachine.testing.purity import purity


@dataclass(frozen=True, slots=True)
class Case:
    """The JSON of a payload, and a view."""

    payload: str
    view: View


def pack(place: Mapping[str, str], cases: Sequence[Case]) -> bytes:
    """A closure's place and its cases for another process; `unpack` is the inverse."""
    return pickle.dumps((dict(place), list(cases)))


def unpack(packed: bytes) -> tuple[dict[str, str], list[Case]]:
    """Inverse of `pack`. Only for what this program packed itself."""
    place, cases = pickle.loads(packed)
    return place, cases


def outcomes(closure: Callable[[object, View], object], model: type[BaseModel], cases: Sequence[Case]) -> list[str]:
    """What comes of each case under the guard of purity. Errors: `impure`."""
    return [_outcome(closure, model.model_validate_json(case.payload), case.view) for case in cases]


def _outcome(closure: Callable[[object, View], object], payload: BaseModel, view: View) -> str:
    try:
        with purity():
            given = closure(payload, view)
    except RelmError as error:
        if error.code is Code.IMPURE:
            raise
        return f"raised {error}"
    except Exception as error:
        return f"raised {type(error).__name__}: {error}"
    return f"gave {sorted(given.values.items()) if isinstance(given, Section) else given!r}"
