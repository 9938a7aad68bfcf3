"""The judge of policies, pure: plain requests and documents in, decisions out."""
