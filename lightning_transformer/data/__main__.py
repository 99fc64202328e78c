"""`python -m lightning_transformer.data`."""

import sys

from lightning_transformer.cli.data_command import main

if __name__ == "__main__":
    sys.exit(main())
