"""Run `translator evaluate`: `python scripts/evaluate.py MODEL`."""

import sys

from translator.cli import main

if __name__ == "__main__":
    sys.exit(main(["evaluate", *sys.argv[1:]]))
