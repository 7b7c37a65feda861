"""What a user takes home: tables, pictures, maps."""
