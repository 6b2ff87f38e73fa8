"""Homes and tenants, who may act for them, and their locks; what a tenant's data means does not belong here."""
