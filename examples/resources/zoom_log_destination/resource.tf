variable "hook_token" {
  type      = string
  ephemeral = true
}

variable "signing_secret" {
  type      = string
  ephemeral = true
}

# One line of JSON an event, under one of the engine's file roots.
resource "zoom_log_destination" "lake" {
  name = "lake"
  file = { path = "lake.ndjson" }
}

# Batches by HTTP, with a bearer token.
resource "zoom_log_destination" "hook" {
  name = "siem-hook"
  http = {
    url          = "https://siem.example.com/ingest"
    headers      = { "x-team" = "secops" }
    compression  = "gzip"
    bearer_token = var.hook_token # write-only
    batch = {
      max_events = 1000
      max_age    = "5s"
    }
  }
}

# Only changes to single sign-on and roles: the one place where events are left out on purpose.
resource "zoom_log_destination" "watch" {
  name = "watch"
  file = { path = "watch.ndjson" }
  only = {
    log_types = ["operation"]
    labels    = ["sso", "role_and_license"]
  }
}

# Signed by the Standard Webhooks convention; Zoom's rows alone, byte for byte.
resource "zoom_log_destination" "signed" {
  name     = "signed"
  metadata = false
  http = {
    url            = "https://collector.example.com/zoom"
    format         = "json_array"
    signing_secret = var.signing_secret # write-only
  }
}
