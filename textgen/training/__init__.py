"""Training with Keras and TensorFlow."""
