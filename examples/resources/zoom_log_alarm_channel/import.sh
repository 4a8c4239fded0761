# By id, or by name:
terraform import zoom_log_alarm_channel.oncall ach_01hzy3v5k8e2m4q6r8t0w2x4y6
terraform import zoom_log_alarm_channel.oncall oncall
