"""TLS that the workers speak themselves, where OIG_TLS_CERT and OIG_TLS_KEY name their files."""
