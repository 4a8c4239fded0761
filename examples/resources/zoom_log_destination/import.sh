# By id, or by name:
terraform import zoom_log_destination.lake dst_01hzy3v5k8e2m4q6r8t0w2x4y6
terraform import zoom_log_destination.lake lake
