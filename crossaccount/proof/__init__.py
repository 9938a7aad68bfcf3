"""The proof that a deployment answers as it should: what an endpoint is asked, how, and whether its answers are right."""
