"""Files: models, runs and their state, written whole or not at all."""
