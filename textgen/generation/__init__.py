"""Text from a model, in NumPy alone."""
