"""What must come out, by the definitions of `docs/math.md`: slow, plain, and used by tests only."""
