"""Order Sync: middleware that keeps orders in step between sales channels and an ERP."""

__version__ = "0.1.0"
