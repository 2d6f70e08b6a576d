"""What happens beside the steps: each callback in a file of its own, all in one ordered list."""
