"""Laying the person over another background."""
