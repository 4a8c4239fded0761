variable "source_id" {
  type = string
}

data "zoom_log_source_status" "corp" {
  source_id = var.source_id
}

# Fails the plan's checks, not the plan, while collection is broken.
check "zoom_logs_are_collected" {
  assert {
    condition     = contains(["ok", "pending"], data.zoom_log_source_status.corp.health)
    error_message = "Zoom log collection is ${data.zoom_log_source_status.corp.health}."
  }
}
