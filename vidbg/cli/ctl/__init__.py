"""`vidbg ctl`: control of a run from another terminal, a script or a hotkey."""
