"""The promotion of a version into the consumers' own endpoints, the rollback, and the records of both."""
