# A token that can only read, for as long as this run lasts. It stands in no state and no plan.
ephemeral "zoom_log_engine_token" "reader" {
  name  = "status page"
  scope = "read"
  ttl   = "10m"
}

# Other providers and provisioners can use it.
resource "terraform_data" "status" {
  provisioner "local-exec" {
    command = "curl -sS -H \"Authorization: Bearer $TOKEN\" \"$ZOOM_LOG_ENGINE_URL/v1/sources\""
    environment = {
      TOKEN = ephemeral.zoom_log_engine_token.reader.token
    }
  }
}
