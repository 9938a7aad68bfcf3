"""What AWS checks before it serves a call: a file for each service, and the decision about one check."""
