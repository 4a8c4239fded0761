data "zoom_log_sources" "switched_off" {
  enabled = false
}

output "switched_off" {
  value = [for source in data.zoom_log_sources.switched_off.sources : source.name]
}
