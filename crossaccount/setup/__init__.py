"""From nothing to two accounts: a first config, the parameters of the accounts' stacks, and what can be known before a first share."""
