"""What every room may import: errors, files that are written whole, tables, ranks."""
