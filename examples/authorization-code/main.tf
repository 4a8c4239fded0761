# A source that an account admin of Zoom lets in by consenting in a browser, instead of by a Server-to-Server app.
#
# 1. Apply once with `-target=data.zoom_log_engine.this` to learn `redirect_url`, and make the app with it.
# 2. Apply the whole. The plan warns until somebody has opened `authorization_url` and consented.
#
# The engine's address and token come from ZOOM_LOG_ENGINE_URL and ZOOM_LOG_ENGINE_TOKEN.

terraform {
  required_version = ">= 1.11"
  required_providers {
    zoom = { source = "zoom-log/zoom" }
  }
}

provider "zoom" {}

variable "zoom_client_id" {
  type        = string
  description = "The client id of the account-level OAuth app"
}

variable "zoom_client_secret" {
  type        = string
  description = "The app's client secret"
  ephemeral   = true
}

data "zoom_log_engine" "this" {}

resource "zoom_log_destination" "lake" {
  name = "lake"
  file = { path = "lake.ndjson" }
}

resource "zoom_log_source" "corp" {
  name            = "My Zoom logs"
  authorization   = "authorization_code"
  client_id       = var.zoom_client_id
  client_secret   = var.zoom_client_secret # write-only: never in state or plan
  destination_ids = [zoom_log_destination.lake.id]
}

output "redirect_url" {
  description = "Goes into the app: redirect URL and allow list"
  value       = data.zoom_log_engine.this.redirect_url
}

output "authorization_url" {
  description = "Where an account admin consents"
  value       = zoom_log_source.corp.authorization_url
}
