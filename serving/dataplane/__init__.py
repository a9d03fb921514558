"""What a frame meets between an adapter and a worker."""
