"""The HTTP application: a web page and a REST API over an examiner of photos."""
