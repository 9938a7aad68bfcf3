"""The audit of the access that a config promises: each source answers as far as it reaches, and out of reach is no answer."""
