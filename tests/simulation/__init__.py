"""The simulator's own tests, and the engine's score on its worlds."""
