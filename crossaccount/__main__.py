"""``python -m crossaccount``: the command line."""

from crossaccount.cli.main import main

if __name__ == "__main__":
    main()
