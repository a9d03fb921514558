"""How every release suppresses boxes."""

# Ultralytics' 0.7 is made for scoring. On three validation splits 0.6 moved mAP50 by -0.1 to +0.9
# points and mAP50-95 by -0.4 to -0.1, and removed most second boxes on one object of the demo.
NMS_IOU = 0.6
MAX_DETECTIONS = 300
MAX_CANDIDATES = 30_000
