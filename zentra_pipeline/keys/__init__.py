"""Keys and secrets at rest: signing keys of the home and the box that keeps secrets; what is signed is in closeout."""
