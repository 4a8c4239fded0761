# One Zoom account, its two audit logs, one file of events, one webhook for alarms.
#
# The engine's address and token come from ZOOM_LOG_ENGINE_URL and ZOOM_LOG_ENGINE_TOKEN.

terraform {
  required_version = ">= 1.11"
  required_providers {
    zoom = { source = "zoom-log/zoom" }
  }
}

provider "zoom" {}

variable "zoom_account_id" {
  type        = string
  description = "The Zoom account's id, from the Server-to-Server OAuth app"
}

variable "zoom_client_id" {
  type        = string
  description = "The app's client id"
}

variable "zoom_client_secret" {
  type        = string
  description = "The app's client secret"
  ephemeral   = true
}

variable "alarm_webhook_url" {
  type        = string
  description = "Where the drop-off alarm is sent"
  default     = "https://hooks.example.com/zoom"
}

resource "zoom_log_destination" "lake" {
  name = "lake"
  file = { path = "lake.ndjson" }
}

resource "zoom_log_alarm_channel" "oncall" {
  name    = "oncall"
  webhook = { url = var.alarm_webhook_url }
}

resource "zoom_log_source" "corp" {
  name            = "My Zoom logs"
  account_id      = var.zoom_account_id
  client_id       = var.zoom_client_id
  client_secret   = var.zoom_client_secret
  destination_ids = [zoom_log_destination.lake.id]
  poll_interval   = "15s"
  drop_off_alarm = {
    after       = "24h"
    channel_ids = [zoom_log_alarm_channel.oncall.id]
  }
}

data "zoom_log_source_status" "corp" {
  source_id = zoom_log_source.corp.id
}
