"""``python -m crossaccount_sandbox``: run the emulated AWS until it is told to stop.

Heavy imports wait until this is the main program: inference processes look at their parent's main module.
"""

if __name__ == "__main__":
    from crossaccount_sandbox.command import main

    main()
