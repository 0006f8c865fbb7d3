"""The laws that the constraint programs decide: what each broken one means for whoever published the step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from relmachine.errors import Code
from relmachine.kernel.verdicts import GateName, Refusal

Named = int | str | None | tuple[str, ...]
"""A member of a witness as people read it; an element of a fiber by its claims, None for what is not there."""


@dataclass(frozen=True, slots=True)
class Violation:
    """A broken law. `subject` is the place, in what was asked, of the fiber, map, order, family or step concerned.

    `witness` names the elements that break the law, in the order of the law's statement in its program.
    """

    law: str
    subject: int
    witness: tuple[Named, ...]


_DECLARE = "run `relm check` on the machine and load it again: "
_TURN = "run `relm verify` on the store and report this as a fault of the node: "

SENTENCES: Mapping[str, str] = {
    # heyting_axioms, heyting_axioms_points
    "operation_total": _DECLARE + "an operation of the fiber has no value, or two, for these elements",
    "le_reflexive": _DECLARE + "the fiber's ∩ is not idempotent",
    "le_antisymmetric": _DECLARE + "two elements of the fiber lie below one another",
    "le_transitive": _DECLARE + "the fiber's ≤ is not transitive",
    "meet_lower": _DECLARE + "∩ of two elements is not below both",
    "meet_greatest": _DECLARE + "∩ of two elements is not their greatest lower bound",
    "join_upper": _DECLARE + "∪ of two elements is not above both",
    "join_least": _DECLARE + "∪ of two elements is not their least upper bound",
    "distributive": _DECLARE + "∩ does not distribute over ∪",
    "residuated": _DECLARE + "⇒ is not the residual of ∩",
    "top_present": _DECLARE + "the fiber has no ⊤",
    "bottom_present": _DECLARE + "the fiber has no ⊥",
    "top_greatest": _DECLARE + "an element is not below ⊤",
    "bottom_least": _DECLARE + "an element is not above ⊥",
    "up_reflexive": _DECLARE + "a claim is missing from what it rests on",
    "up_antisymmetric": _DECLARE + "two claims rest on each other",
    "up_transitive": _DECLARE + "a claim does not rest on what its prerequisite rests on",
    "up_inside": _DECLARE + "a claim rests on one that is not asserted",
    # nucleus_laws, nucleus_laws_points
    "nucleus_total": _DECLARE + "a nucleus has no value, or two, for an element",
    "extensive": _DECLARE + "a nucleus takes something away from an element",
    "idempotent": _DECLARE + "a nucleus applied twice differs from once",
    "meet_preserving": _DECLARE + "a nucleus does not preserve ∩",
    "commuting": _DECLARE + "saturation and transfer do not commute on an element",
    "stable_inside": _DECLARE + "a stable claim is not asserted",
    "points_commuting": "put a claim that a Process step asserts between these two claims, or change one step's kind",
    # restriction_maps, restriction_maps_points
    "restriction_total": _DECLARE + "the restriction has no value, or two, for an element",
    "restriction_meet": _DECLARE + "the restriction does not preserve ∩",
    "restriction_join": _DECLARE + "the restriction does not preserve ∪",
    "restriction_implies": _DECLARE + "the restriction does not preserve ⇒",
    "restriction_top": _DECLARE + "the restriction does not preserve ⊤",
    "restriction_bottom": _DECLARE + "the restriction does not preserve ⊥",
    "restriction_nucleus": _DECLARE + "the restriction does not commute with a nucleus",
    "restriction_inside": _TURN + "a claim asserted before is no longer among those asserted",
    "restriction_closed": "assert every prerequisite before the claim: the second claim is missing from this history",
    "restriction_order": _DECLARE + "what a claim rests on differs between two histories",
    "restriction_stable": _DECLARE + "whether a claim is stable differs between two histories",
    # prefix_order, prefix_order_covers
    "prefix_reflexive": "give every history as a prefix of itself",
    "prefix_transitive": "give the first history as a prefix of the third",
    "prefix_antisymmetric": "give two different histories as prefixes of each other in one direction only",
    "extension_depth": _TURN + "a history is not one deeper than the one it extends",
    "extension_acyclic": _TURN + "one history has two depths",
    "event_new": _TURN + "the event is in the history already",
    "parent_inside": _TURN + "a covering predecessor is not in the history that the event extends",
    "tier": _TURN + "the event's tier is not one above the highest of its covering predecessors",
    # sheaf_conditions, sheaf_conditions_turns
    "coverage": "add a piece that holds the event",
    "piece_inside": "take the event out of the piece, or cover a history that has it",
    "section_inside": "take the contribution out of the section: its event is not in the piece",
    "overlap": "keep both sections: they differ on an event that both pieces hold, which is an obstruction",
    "once_agrees": "keep both sections: a field written once has two values, which is an obstruction",
    "gluing_exists": "give the union of the sections as the gluing, once the obstructions are resolved",
    "gluing_unique": "give one gluing",
    "turn_once": "publish the value that the field already has, or a step that writes another field",
    "turn_overlap": _TURN + "one event contributes two values to one field",
    "turn_gluing": _TURN + "one history has two sections",
    "turn_inside": _TURN + "a contribution belongs to an event that the turn does not add",
}
"""What to do, and what is wrong, by law."""


def refusal(violation: Violation, **where: str) -> Refusal:
    """The refusal of the step on which the law breaks; `where` names the fiber, the pair or the history concerned."""
    witness: dict[str, object] = {"law": violation.law, "elements": list(violation.witness), **where}
    return Refusal(Code.LAW_VIOLATED, GateName.LAWS, SENTENCES[violation.law], witness)
