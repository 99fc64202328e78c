"""`python -m lightning_transformer`."""

from lightning_transformer.cli.main import main

if __name__ == "__main__":
    main()
