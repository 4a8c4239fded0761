variable "signing_secret" {
  type      = string
  ephemeral = true
}

resource "zoom_log_alarm_channel" "oncall" {
  name = "oncall"
  webhook = {
    url            = "https://hooks.example.com/zoom"
    headers        = { "x-team" = "secops" }
    signing_secret = var.signing_secret # write-only
  }
}
