"""Runs the command line as `python -m zentra_pipeline`; nothing else belongs here."""

from zentra_pipeline.cli import main

if __name__ == "__main__":
    main()
