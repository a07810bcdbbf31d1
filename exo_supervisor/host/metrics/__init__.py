"""What Prometheus may read: counted as things happen, turned into its text when somebody asks."""
