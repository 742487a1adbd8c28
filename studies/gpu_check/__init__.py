"""Whether everything is right, and how fast it is, on this machine's GPU: `python -m studies.gpu_check`."""
