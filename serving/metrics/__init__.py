"""What Prometheus reads, by the process that tells it; here, what both have."""
