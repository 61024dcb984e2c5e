"""`python -m xpcnn` is the same program as `xpcnn`."""

from .cli import main

if __name__ == "__main__":
    main()
