variable "source_id" {
  type = string
}

# terraform apply -invoke=action.zoom_log_source_backfill.last_month
action "zoom_log_source_backfill" "last_month" {
  config {
    source_id = var.source_id
    from      = formatdate("YYYY-MM-DD", timeadd(plantimestamp(), "-720h")) # Zoom keeps six months
    to        = formatdate("YYYY-MM-DD", plantimestamp())
    log_types = ["operation"]
  }
}
