"""Training data: image sets, scenes made from them, batches."""
