"""What every test finds: a passphrase for signing keys, so that none is kept in the user's own configuration."""

import os

os.environ.setdefault("ZENTRA_KEY_PASSPHRASE", "for tests only")
