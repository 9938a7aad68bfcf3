"""The ``crossaccount`` command: its arguments, the commands, their output, and the start of a Prefect flow."""
