# terraform query -generate-config-out=found.tf
list "zoom_log_source" "found" {
  provider         = zoom
  include_resource = true

  # Without `config`, every source.
  config {
    name_prefix = "corp-"
    enabled     = true
  }
}
