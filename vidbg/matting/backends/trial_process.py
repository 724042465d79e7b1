"""The process of a trial; see `trial.try_apart`.

    python -m vidbg.matting.backends.trial_process report DEVICE
    python -m vidbg.matting.backends.trial_process openvino TARGET PRECISION

print one JSON object: a BackendReport, or {"error": ...}, null if there was no error.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict

from vidbg.errors import BackendError
from vidbg.matting import backends
from vidbg.matting.backends import openvino


def main(kind: str, *arguments: str) -> None:
    """Run a trial and print its result for the parent process."""
    if kind == "report":
        print(json.dumps(asdict(backends.measure(*arguments))))  # noqa: T201
        return
    error = None
    try:
        openvino.try_here(*arguments)
    except BackendError as refusal:
        error = str(refusal)
    print(json.dumps({"error": error}))  # noqa: T201


if __name__ == "__main__":
    main(*sys.argv[1:])
