# terraform query -generate-config-out=found.tf
list "zoom_log_alarm_channel" "found" {
  provider         = zoom
  include_resource = true
}
