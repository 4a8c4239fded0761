# { subject = "Change Role", changes = [{ field = "jo@example.com", from = "User", to = "Co-Owner" }] }
output "detail" {
  value = provider::zoom::parse_operation_detail("Change Role  - jo@example.com: from User to Co-Owner")
}
