"""The migrations in order; a module is never changed once released, a new one follows it."""
