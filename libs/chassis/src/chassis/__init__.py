"""What every service does before and after its own business."""
