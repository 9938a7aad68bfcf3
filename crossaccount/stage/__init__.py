"""The product on a stage of its own, with an emulated AWS and a Prefect server: a story in the terminal, and a browser's view."""
