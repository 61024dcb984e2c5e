"""cupy.fft: xpcnn uses nothing of it."""
