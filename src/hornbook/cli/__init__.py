"""The command line: one file a verb, and only the verb asked for is imported."""
