"""AWS as the library reaches it: sessions, refusals, and the two accounts that a config names."""
