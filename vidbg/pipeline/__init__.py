"""Pipelines from sources through matting and compositing to sinks."""
