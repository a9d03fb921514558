"""Does a swap lose a frame? Under steady load, with kills, and TorchServe alone beside it."""
