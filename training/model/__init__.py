"""Networks in training: weights on disk, the baseline, the teacher."""
