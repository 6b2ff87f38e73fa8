"""What operators do at any surface: decide and work through sheets, then see the run made again. No surface is here."""
