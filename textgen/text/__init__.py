"""Characters, ids and batches of them."""
