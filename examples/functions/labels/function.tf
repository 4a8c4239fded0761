# What the engine's built-in rules make of one line of a file destination.
output "labels" {
  value = provider::zoom::labels({
    operator         = "admin@example.com"
    category_type    = "User"
    action           = "Batch Update"
    operation_detail = "Change Role  - jo@example.com: from User to Co-Owner"
  })
}
