"""What Prometheus reads of frames, as a gateway's process counts them."""
