"""What the metadata of image files claims of their origin."""
