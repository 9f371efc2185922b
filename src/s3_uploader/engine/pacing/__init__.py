"""How many requests are in flight, and when a failed one is tried again."""
