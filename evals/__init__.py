"""Questions of owners, put to the tools and judged without a language model."""
