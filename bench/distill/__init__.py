"""`make bench-distill`: our distillation beside no teacher and beside ultralytics' own, on BCCD."""
