"""Parts of the report that compute in the reader's browser."""
