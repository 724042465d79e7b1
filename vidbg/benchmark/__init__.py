"""The benchmark of engines, its report and comparisons."""
