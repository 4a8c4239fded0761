# terraform query -generate-config-out=found.tf
list "zoom_log_destination" "found" {
  provider         = zoom
  include_resource = true

  # Without `config`, every destination.
  config {
    name_prefix = "siem-"
  }
}
