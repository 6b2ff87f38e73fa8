"""Prints the description of the API: `python -m zentra_pipeline.api > docs/openapi.json`; nothing else belongs here."""

import sys

from zentra_pipeline.api.app import openapi_text

sys.stdout.write(openapi_text())
