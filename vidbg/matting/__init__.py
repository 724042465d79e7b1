"""From a frame to the person's alpha: network, backends, temporal smoothing, upsampling."""
