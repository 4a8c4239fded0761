variable "source_id" {
  type = string
}

# terraform apply -invoke=action.zoom_log_source_backfill.may
action "zoom_log_source_backfill" "may" {
  config {
    source_id = var.source_id
    from      = "2026-05-01"
    to        = "2026-05-31"
    log_types = ["operation"]
  }
}
