"""Enters a package where a member is, which its own lists tell, or an index that a pass left."""
