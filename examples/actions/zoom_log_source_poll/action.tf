variable "source_id" {
  type = string
}

# terraform apply -invoke=action.zoom_log_source_poll.now
action "zoom_log_source_poll" "now" {
  config {
    source_id = var.source_id
  }
}
