"""Published files: their table, transfer, verification, and the members of their archives."""
