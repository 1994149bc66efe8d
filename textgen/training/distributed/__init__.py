"""Several devices, several machines."""
