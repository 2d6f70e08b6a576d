"""From what was requested to a frozen plan."""
