variable "zoom_client_secret" {
  type      = string
  ephemeral = true
}

resource "zoom_log_destination" "lake" {
  name = "lake"
  file = { path = "lake.ndjson" }
}

resource "zoom_log_alarm_channel" "oncall" {
  name    = "oncall"
  webhook = { url = "https://hooks.example.com/zoom" }
}

resource "zoom_log_source" "corp" {
  name            = "My Zoom logs"
  account_id      = "abc123"
  client_id       = "cid"
  client_secret   = var.zoom_client_secret # write-only: never in state or plan
  log_types       = ["operation", "activity"]
  destination_ids = [zoom_log_destination.lake.id]
  poll_interval   = "1m"
  drop_off_alarm = {
    after       = "24h"
    channel_ids = [zoom_log_alarm_channel.oncall.id]
  }
}
