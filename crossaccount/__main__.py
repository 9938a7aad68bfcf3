"""``python -m crossaccount``: the command line."""

from crossaccount.cli import main

if __name__ == "__main__":
    main()
