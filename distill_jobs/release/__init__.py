"""From a checkpoint to a signed archive: evaluate, export, quantize, check, gate, archive, sign."""
