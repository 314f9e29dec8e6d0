"""What goes over the wire: values in, values out."""
