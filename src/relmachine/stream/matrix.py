"""The dependence matrix as stream metadata, and what differs between two of them. Pure.

- `matrix_form`: how the next two are written: `plain`, `zlib` (compressed, then base64), `digest` (they are left out).
- `steps`: Σ, the names of the step types, sorted, one space between them.
- `dependence`: for each step in that order a hexadecimal mask of the steps before it that depend on it, one space
  between them.

Bit `i` of a mask is step number `i`, so `received checked noted` with `0 1 0` says that `checked` depends on `received`
and that `noted` depends on nothing. Every step depends on itself. Source: `docs/math.md` section 1 (Σ and I).
"""

from __future__ import annotations

import binascii
import zlib
from base64 import b64decode, b64encode
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

MATRIX_BYTES_MAX = 64 * 1024
"""Bytes of the two texts together, beyond which they are compressed, and beyond which they are left out. A server takes
131,072 bytes of metadata for a stream (measured), and sends them with every answer about it."""

_INFLATED_BYTES_MAX = 64 * 1024 * 1024
_NAMED_MAX = 10


@dataclass(frozen=True, slots=True)
class Matrix:
    """Σ and dependence: `before[i]` is the mask of the steps below number `i` that depend on it."""

    steps: tuple[str, ...]
    before: tuple[int, ...]

    @staticmethod
    def of(steps: Sequence[str], dependent: Sequence[int]) -> Matrix:
        """From masks over all steps, as a plan has them."""
        return Matrix(tuple(steps), tuple(mask & ((1 << index) - 1) for index, mask in enumerate(dependent)))

    def pairs(self) -> frozenset[tuple[str, str]]:
        """The dependent pairs of distinct steps, each pair sorted."""
        return frozenset(
            (min(one, other), max(one, other))
            for other, mask in zip(self.steps, self.before, strict=True)
            for one, bit in zip(self.steps, reversed(f"{mask:b}"), strict=False)
            if bit == "1"
        )


def written(matrix: Matrix) -> dict[str, str]:
    """The metadata entries of `matrix`, in the most readable form that is short enough."""
    texts = {"steps": " ".join(matrix.steps), "dependence": " ".join(f"{mask:x}" for mask in matrix.before)}
    if _size(texts) <= MATRIX_BYTES_MAX:
        return {"matrix_form": "plain", **texts}
    packed = {name: b64encode(zlib.compress(text.encode(), 9)).decode() for name, text in texts.items()}
    if _size(packed) <= MATRIX_BYTES_MAX:
        return {"matrix_form": "zlib", **packed}
    return {"matrix_form": "digest"}


def read(metadata: Mapping[str, str]) -> Matrix | None:
    """The matrix in `metadata`; None when it is not there, or cannot be read."""
    steps, dependence = metadata.get("steps"), metadata.get("dependence")
    if steps is None or dependence is None:
        return None
    try:
        match metadata.get("matrix_form"):
            case "plain":
                pass
            case "zlib":
                steps, dependence = _inflated(steps), _inflated(dependence)
            case _:
                return None
        names, masks = steps.split(" "), [int(mask, 16) for mask in dependence.split(" ")]
    except (ValueError, binascii.Error, zlib.error):
        return None
    whole = len(names) == len(masks) and all(mask >> index == 0 for index, mask in enumerate(masks))
    return Matrix(tuple(names), tuple(masks)) if whole else None


@dataclass(frozen=True, slots=True)
class Difference:
    """What one matrix has and the other has not; pairs are of steps that both have."""

    steps_here: tuple[str, ...]
    steps_there: tuple[str, ...]
    dependent_here: tuple[tuple[str, str], ...]
    dependent_there: tuple[tuple[str, str], ...]

    def sentence(self) -> str:
        """What differs, in words: `here` is this machine, `there` the stream. At most `_NAMED_MAX` of each kind."""
        told = [
            *_told(self.dependent_here, "{} are dependent in this machine and independent on the stream"),
            *_told(self.dependent_there, "{} are independent in this machine and dependent on the stream"),
            *_told(self.steps_here, "only this machine has the step {}"),
            *_told(self.steps_there, "only the stream has the step {}"),
        ]
        return "; ".join(told) or "the same pairs of steps are dependent, and something else of the laws changed"

    def as_json(self) -> dict[str, object]:
        """For a witness: names, and how many there are when not all are named."""
        every = {
            "dependent_only_in_this_machine": [list(pair) for pair in self.dependent_here],
            "dependent_only_on_the_stream": [list(pair) for pair in self.dependent_there],
            "steps_only_of_this_machine": list(self.steps_here),
            "steps_only_of_the_stream": list(self.steps_there),
        }
        found: dict[str, object] = {}
        for name, values in every.items():
            if values:
                found[name] = values[:_NAMED_MAX]
            if len(values) > _NAMED_MAX:
                found[f"{name}_count"] = len(values)
        return found


def difference(here: Matrix, there: Matrix) -> Difference:
    """What differs between this machine's matrix and the stream's."""
    ours, theirs = set(here.steps), set(there.steps)
    both, mine, other = ours & theirs, here.pairs(), there.pairs()
    return Difference(
        steps_here=tuple(sorted(ours - theirs)),
        steps_there=tuple(sorted(theirs - ours)),
        dependent_here=_of_both(mine - other, both),
        dependent_there=_of_both(other - mine, both),
    )


def _of_both(pairs: Iterable[tuple[str, str]], both: set[str]) -> tuple[tuple[str, str], ...]:
    return tuple(sorted(pair for pair in pairs if both.issuperset(pair)))


def _told(items: Sequence[str | tuple[str, str]], sentence: str) -> list[str]:
    if not items:
        return []
    named = [item if isinstance(item, str) else " and ".join(item) for item in items[:_NAMED_MAX]]
    more = f", and {len(items) - _NAMED_MAX} more" if len(items) > _NAMED_MAX else ""
    return [sentence.format(f"{', '.join(named)}{more}")]


def _size(texts: Mapping[str, str]) -> int:
    return sum(len(text) for text in texts.values())


def _inflated(text: str) -> str:
    inflating = zlib.decompressobj()
    found = inflating.decompress(b64decode(text, validate=True), _INFLATED_BYTES_MAX)
    if not inflating.eof:
        raise ValueError("longer than any matrix")
    return found.decode("ascii")
