"""What a model knows, measured in NumPy."""
