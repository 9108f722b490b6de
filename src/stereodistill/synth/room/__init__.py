"""The world `room`: walls and furniture under a lamp."""
