"""The HTTP API: one module a noun; what a route does to the books stands outside of it."""
