import {
  to = zoom_log_alarm_channel.oncall
  identity = {
    id = "ach_01hzy3v5k8e2m4q6r8t0w2x4y6"
  }
}
