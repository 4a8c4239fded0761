variable "source_name" {
  type    = string
  default = "My Zoom logs"
}

# A source that another configuration, or somebody by hand, has made.
data "zoom_log_source" "corp" {
  name = var.source_name
}

output "destinations_of_corp" {
  value = data.zoom_log_source.corp.destination_ids
}
