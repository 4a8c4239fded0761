data "zoom_log_engine" "this" {}

# Goes into the Zoom app, as its redirect URL and on its allow list, before any source exists.
output "redirect_url" {
  value = data.zoom_log_engine.this.redirect_url
}
