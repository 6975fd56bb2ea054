"""Unpacks streams of every packing: in threads ahead of the reader, blocks beside each other."""
