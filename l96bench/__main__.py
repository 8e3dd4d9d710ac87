"""``python -m l96bench``: the command line."""

from l96bench.cli import main

if __name__ == "__main__":
    main()
