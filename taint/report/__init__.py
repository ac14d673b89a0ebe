"""Reports: what people look at when a flow was found."""
