"""The consumer's half, in the target account: models, endpoint configs and endpoints, from before the first to after the last."""
