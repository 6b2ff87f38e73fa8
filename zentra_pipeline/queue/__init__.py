"""Which runs are to be made next, and why; executing them does not belong here."""
