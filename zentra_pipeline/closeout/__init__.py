"""Closeout: blockers, approval, calendar, evidence, the seal and its verifier, the report and the workbook."""
