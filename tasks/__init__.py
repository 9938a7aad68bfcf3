"""The steps of the flows: each opens a session, calls the library, logs one line and returns plain data."""
