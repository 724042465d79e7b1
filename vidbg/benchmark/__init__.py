"""Measuring engines: the benchmark, its report and comparisons."""
