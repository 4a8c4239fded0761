import {
  to = zoom_log_source.corp
  identity = {
    id = "src_01hzy3v5k8e2m4q6r8t0w2x4y6"
  }
}
