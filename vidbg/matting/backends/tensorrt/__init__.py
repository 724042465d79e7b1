"""TensorRT, NVIDIA's `tensorrt` or `tensorrt_rtx`: engines built from the shipped graphs."""
