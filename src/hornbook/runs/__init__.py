"""The run directory: what it holds, how it is checked, locked and migrated."""
