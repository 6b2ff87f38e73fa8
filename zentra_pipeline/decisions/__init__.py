"""What operators' decisions mean: state of an exception, manual matches, limits. Pure; recording them is in review."""
