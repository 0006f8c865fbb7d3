"""Hypothesis without time limits per example: a busy machine must not fail a law."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("laws", deadline=None)
settings.load_profile("laws")
