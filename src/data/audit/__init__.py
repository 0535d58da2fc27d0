"""What an image file tells besides its picture: its format, its history, its digests."""
