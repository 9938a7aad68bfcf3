"""The ``crossaccount`` command: its arguments, what each command does, what it prints, and how it starts a flow of Prefect."""
