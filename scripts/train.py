"""Run `translator train`: `python scripts/train.py configs/phrasebook.yaml`."""

import sys

from translator.cli import main

if __name__ == "__main__":
    sys.exit(main(["train", *sys.argv[1:]]))
