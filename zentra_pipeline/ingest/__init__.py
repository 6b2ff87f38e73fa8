"""From bytes that arrive to staged rows: landing, reading, the gate, registration. Matching does not belong here."""
