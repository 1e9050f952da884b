"""What ``check`` looks at: one module a subject, a :class:`Finding` a line."""
