"""What a run shows of itself: TensorBoard, MLflow, and a report that opens from disk."""
