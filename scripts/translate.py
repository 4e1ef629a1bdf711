"""Run `translator translate`: `python scripts/translate.py MODEL "Une phrase."`."""

import sys

from translator.cli import main

if __name__ == "__main__":
    sys.exit(main(["translate", *sys.argv[1:]]))
