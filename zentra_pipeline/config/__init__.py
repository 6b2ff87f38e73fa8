"""What an operator configures in YAML: profiles, routing, business days, drop folders. It decides on no row."""
