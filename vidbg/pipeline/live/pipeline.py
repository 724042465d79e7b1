"""The way of a frame in a live run: capture, matting, compositing, output.

    camera ──frame──▶ matting ──alpha──▶ compositing ──composite──▶ gate ──▶ outputs

Camera, stages and outputs have a thread each, so the network works on one frame while the last is
composited. Each part calls the next:

    capture/reader.py              Reader._read_camera reads it
    stages/matting_stage.py        MattingStage.take, and MattingWorker mattes it
    stages/compositing_stage.py    CompositingStage.submit, and CompositingWorker composites it
    outputs/output_gate.py         OutputGate.deliver lets viewers see it, or not
    outputs/output_set.py          OutputSet.deliver gives it to every output
    outputs/frame_buffer.py        FrameBuffer.deliver keeps it until it is due
    outputs/output_writer.py       OutputWriter._write_frames writes it

The newest frame wins: one that waits when the next arrives is dropped. Where the network runs on
one frame of two or three, the others wait for it, and are written as far apart as they arrived.
Whatever fails or hangs is replaced by its owner here (Reader, Stage, OutputWriter), and the outputs
go on with the last frame for a while and then with the fallback image. The supervisor checks all of
them.
"""

from __future__ import annotations

import time

from vidbg.pipeline.live.capture.camera_request import CameraRequest
from vidbg.pipeline.live.capture.reader import Reader
from vidbg.pipeline.live.context import RunContext
from vidbg.pipeline.live.network.governor import Governor
from vidbg.pipeline.live.network.network_loader import Networks
from vidbg.pipeline.live.outputs.output_gate import OutputGate
from vidbg.pipeline.live.stages.compositing_stage import CompositingStage
from vidbg.pipeline.live.stages.matting_stage import MattingStage


class LivePipeline:
    """Camera, two stages and outputs, connected.

    Args:
        context: shared by all of them.
        camera: the first one.
        networks: loads the network; closed at the end.
        gate: the end of the way, with the outputs.
    """

    def __init__(
        self,
        context: RunContext,
        camera: CameraRequest,
        networks: Networks,
        gate: OutputGate,
    ) -> None:
        self.context, self.networks = context, networks
        self.governor = Governor(
            networks.levels,
            1 / context.period_s,
            time.monotonic(),
            cpu_limit=networks.cpu_limit,
        )
        # From the outputs back to the camera, as each part gets the one that it passes frames to
        self.gate, self.outputs = gate, gate.outputs
        self.compositing = CompositingStage(gate, context)
        self.matting = MattingStage(networks, self.governor, self.compositing, context)
        self.camera = Reader(camera, self.matting, context)

    def start(self, *, tolerant: bool = False) -> None:
        """Open the outputs and start all threads.

        Args:
            tolerant: an output that does not open is a fault, not an error.
        Raises:
            VidbgError: an output cannot be opened.
        """
        self.outputs.start(tolerant=tolerant)
        self.compositing.start()
        self.matting.start()
        self.camera.start()

    def check(self) -> None:
        """Replace threads that hang. Call this a few times a second."""
        for part in (self.camera, self.matting, self.compositing, self.outputs):
            part.check()

    @property
    def finished(self) -> bool:
        """Whether a camera that is not live has ended, and all its frames have been written."""
        ended = self.camera.ended.is_set() and self.matting.idle and self.compositing.idle
        return ended and self.outputs.caught_up

    @property
    def dropped(self) -> int:
        """Camera frames that a newer one replaced before they reached an output."""
        return self.matting.dropped + self.compositing.dropped + self.outputs.superseded

    def stop(self, patience_s: float) -> None:
        """Close everything. A thread that hangs is abandoned after `patience_s` seconds."""
        self.outputs.stop(patience_s)
        self.camera.stop(patience_s)
        self.matting.stop(patience_s)
        self.networks.close(patience_s)
        self.compositing.stop(patience_s)
