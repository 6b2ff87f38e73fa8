"""Operator review: recording decisions, approvals, escalation, voiding; their meaning is in decisions."""
