"""A whole local cluster of real processes: what runs, in which order, and what keeps it running."""
