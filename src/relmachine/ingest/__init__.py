"""From a log to steps: XES and CloudEvents JSON lines, streaming, each step with a key that the log's content gives."""
