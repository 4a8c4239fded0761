variable "source_id" {
  type = string
}

# terraform apply -invoke=action.zoom_log_source_check.access
action "zoom_log_source_check" "access" {
  config {
    source_id = var.source_id
  }
}
