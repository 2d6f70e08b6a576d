"""Every automatic choice, each a function of narrow inputs that trains nothing."""
