"""The way of a frame in a live run: capture, matting, compositing, output.

    camera ──frame──▶ matting ──alpha──▶ compositing ──composite──▶ outputs

Each of them has a thread, so the network works on one frame while the last is composited. The
newest frame wins: one that waits when the next arrives is dropped. Where the network runs on one
frame of two or three, the others wait for it, and are written as far apart as they arrived.
Whatever fails or hangs is replaced by its owner here (Reader, Stage, OutputWriter), and the outputs
go on with the last frame for a while and then with the fallback image. The supervisor checks all of
them.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import partial

from vidbg.pipeline.live.appearance import Arrived, Composited, Matted
from vidbg.pipeline.live.capture.camera_request import CameraRequest
from vidbg.pipeline.live.capture.reader import Reader
from vidbg.pipeline.live.context import RunContext
from vidbg.pipeline.live.network.governor import Governor
from vidbg.pipeline.live.network.network_loader import Networks
from vidbg.pipeline.live.outputs.fallback import fallback_image
from vidbg.pipeline.live.outputs.output_gate import OutputGate
from vidbg.pipeline.live.outputs.output_set import OutputSet
from vidbg.pipeline.live.outputs.output_writer import OutputTarget
from vidbg.pipeline.live.stages import compositing_stage, matting_stage
from vidbg.pipeline.live.stages.compositing_stage import CompositingWorker
from vidbg.pipeline.live.stages.matting_stage import MattingWorker
from vidbg.pipeline.live.stages.stage import Stage


class LivePipeline:
    """Camera, two stages and outputs, connected.

    Attributes:
        gate: decides which composited frames reach the outputs.
        newest_frame, newest_alpha: for views; None before the first, and for alpha while a GPU
            does full frames.

    Args:
        context: shared by all of them.
        camera: the first one.
        networks: loads the network; closed at the end.
        targets: the outputs.
        frame_limit: end the run after this many composited frames.
    Raises:
        ConfigError: the background cannot be read.
    """

    def __init__(
        self,
        context: RunContext,
        camera: CameraRequest,
        networks: Networks,
        targets: Sequence[OutputTarget],
        frame_limit: int | None = None,
    ) -> None:
        self.context, self.networks = context, networks
        self.governor = Governor(
            networks.levels,
            1 / context.period_s,
            time.monotonic(),
            cpu_limit=networks.cpu_limit,
        )
        self._due_pts = 0.0
        self.newest_frame: Arrived | None = None
        self.newest_alpha: Matted | None = None

        # The flow: camera -> matting -> compositing -> gate -> outputs
        fallback = fallback_image(context.look.compositing, context.info.width, context.info.height)
        self.outputs = OutputSet(targets, fallback, context, frame_limit)
        self.gate = OutputGate(self.outputs, context, fallback)
        self.camera = Reader(camera, self._deliver_frame, context)
        self.matting: Stage[Arrived, Matted | Composited] = Stage(
            matting_stage.PART,
            partial(MattingWorker, networks, self.governor, context),
            self._deliver_alpha,
            context,
            networks.blame,
        )
        self.compositing: Stage[Matted, Composited] = Stage(
            compositing_stage.PART,
            partial(CompositingWorker, context),
            self.gate.deliver,
            context,
        )

    def _deliver_frame(self, frame: Arrived) -> None:
        """Pass a camera frame to matting, in the reader's thread."""
        if self.context.thins_frames:
            period_s = self.context.period_s
            if frame.frame.pts < self._due_pts - 0.25 * period_s:  # cameras are not that even
                return
            self._due_pts = max(self._due_pts, frame.frame.pts - period_s) + period_s
        self.newest_frame = frame
        # Those that the network does not run on wait for the one that it does
        self.matting.submit(frame, max(1, self.governor.level.every - 1))

    def _deliver_alpha(self, result: Matted | Composited) -> None:
        """Pass a frame and its alpha to compositing, in the matting thread."""
        if isinstance(result, Composited):  # a GPU has done both
            self.newest_alpha = None
            self.gate.deliver(result)
        else:
            self.newest_alpha = result
            self.compositing.submit(result, self.governor.level.every)  # they come in bursts

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
