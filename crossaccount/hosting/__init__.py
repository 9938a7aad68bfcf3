"""The consumer's half, in the target account: the models, endpoint configs and endpoints of a deployment."""
