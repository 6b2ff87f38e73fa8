"""What deploy/ says, started: its services as processes of this machine."""
