import {
  to = zoom_log_destination.lake
  identity = {
    id = "dst_01hzy3v5k8e2m4q6r8t0w2x4y6"
  }
}
