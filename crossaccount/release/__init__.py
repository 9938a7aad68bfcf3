"""The Release: one shared version, published once, and the only thing that crosses between the accounts."""
