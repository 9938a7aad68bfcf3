"""The proof that a deployment answers as it should: the questions to its endpoint, the asking, and the expected answers."""
