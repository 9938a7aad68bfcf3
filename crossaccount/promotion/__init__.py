"""One version, moved into the consumers' own endpoints, and back."""
