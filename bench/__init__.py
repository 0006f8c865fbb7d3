"""Workload W through the whole path and through the raw floor, in one run. `python -m bench --help`."""
