"""Joins the rooms: streams from sources over matting and compositing to sinks."""
