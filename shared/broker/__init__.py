"""Messaging: one small interface, implemented by RabbitMQ and by a broker inside the process."""
