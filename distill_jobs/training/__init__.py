"""Training: ultralytics' own trainer, with a frozen teacher beside the student."""
