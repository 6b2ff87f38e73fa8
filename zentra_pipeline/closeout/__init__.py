"""Closeout: evidence rows, the seal, its verifier, the report and the workbook."""
