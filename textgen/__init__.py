"""Train a character-level LSTM on any text and generate text with it."""
