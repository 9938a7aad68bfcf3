"""The reviewed YAML file that says what is shared with whom: a frozen model, its keys, their agreement, and the one edge where it is read."""
