"""The producer's half: read, plan, write, publish, and take back."""
