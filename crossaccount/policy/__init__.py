"""Policy documents: what they say, whom they let in, and how ours are merged into others'. Pure functions."""
