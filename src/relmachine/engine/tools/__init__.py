"""Tools that run in processes of their own. Their worker imports this package: it stays empty."""
