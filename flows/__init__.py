"""What an operator can run: the producer's and the consumer's flows, each a list of named steps."""
