"""The matting steps on a GPU, as torch modules: each file is the twin of a step on the CPU.

| on the GPU, here | on the CPU |
|---|---|
| `matting_graph` | `vidbg.matting.video_matting` |
| `brightness_graph` | `vidbg.matting.preprocess` |
| `smoothing_graph` | `vidbg.matting.temporal` |
| `upsampling_graph` | `vidbg.matting.upsample` |

A change to a step belongs in both twins. `make graphs` then makes the shipped ONNX graphs again,
and tests/pipeline/test_frame_graph.py compares the GPU's results with the CPU's. These modules need
torch.
"""
