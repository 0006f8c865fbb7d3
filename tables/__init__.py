"""What follows from `kernel/lifecycle.toml`: a module, a page, the store's triggers. `python -m tables --help`."""
