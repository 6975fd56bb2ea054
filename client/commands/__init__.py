"""The commands of `kernsym`, one module each; imported when called."""
