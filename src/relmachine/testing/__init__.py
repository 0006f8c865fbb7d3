"""For tests of your own machines."""

from __future__ import annotations

from relmachine.testing.pure import assert_pure
from relmachine.testing.purity import purity

__all__ = ["assert_pure", "purity"]
