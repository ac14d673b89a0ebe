"""A corpus of purpose leaks: small programs that any engine can run, each with its safe twin."""
