"""The audit: is the access that a config promises there? Each source tells what it can, and out of reach is no answer."""
