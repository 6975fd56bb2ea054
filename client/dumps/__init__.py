"""One module per dump format; `open_dump` finds the reader, `read_facts` the identity."""
