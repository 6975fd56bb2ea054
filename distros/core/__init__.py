"""Values that every distribution shares: banner, kernel, package, layout, errors."""
