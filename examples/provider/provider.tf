terraform {
  required_providers {
    zoom = { source = "zoom-log/zoom" }
  }
}

variable "engine_token" {
  type      = string
  ephemeral = true
}

provider "zoom" {
  engine_url   = "http://127.0.0.1:8420" # or ZOOM_LOG_ENGINE_URL
  engine_token = var.engine_token        # or ZOOM_LOG_ENGINE_TOKEN
}
