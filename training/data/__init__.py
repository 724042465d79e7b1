"""Training data: picture sets, scenes made from them, batches."""
