"""Models of others as material for a MicroCinema file: read tensor by tensor, renamed, merged, written as a stream."""
