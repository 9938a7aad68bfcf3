"""The flows that an operator can run, the producer's and the consumer's: each a list of named steps."""
