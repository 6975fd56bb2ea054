"""Where the packed files lie in a .deb and in an RPM."""
