"""`python -m neurond`, the same as the command `neurond`."""

from neurond.cli.app import main

if __name__ == "__main__":
    main()
